//! fsck message ids, and how bad each of them is unless a policy says otherwise.
//!
//! The severities are git's, with two changes. What git only warns of unless it is told to be
//! strict, and what harms whoever checks such a tree out, is an error. What many old public
//! repositories have, and no client minds, is a warning: they must be possible to push.

use std::fmt;
use std::str::FromStr;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It is not mentioned.
    Ignore,
    /// It is mentioned.
    Info,
    /// It is mentioned.
    Warn,
    /// The object is refused.
    Error,
    /// The object is refused, and no policy lets it pass.
    Fatal,
}

/// A word that is no severity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown severity {0:?}: error, warn, info or ignore expected")]
pub struct UnknownSeverity(pub String);

impl FromStr for Severity {
    type Err = UnknownSeverity;

    fn from_str(word: &str) -> Result<Self, UnknownSeverity> {
        match word {
            "ignore" => Ok(Severity::Ignore),
            "info" => Ok(Severity::Info),
            "warn" => Ok(Severity::Warn),
            "error" => Ok(Severity::Error),
            other => Err(UnknownSeverity(other.to_owned())),
        }
    }
}

/// A word that is no message id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown fsck message id {0:?}: see `git help fsck` for the ids")]
pub struct UnknownMessage(pub String);

macro_rules! messages {
    ($($variant:ident $name:literal $severity:ident $explanation:literal;)*) => {
        /// What can be wrong with an object, by git's names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum MessageId {
            $(#[doc = concat!("`", $name, "`: ", $explanation, ".")] $variant,)*
        }

        impl MessageId {
            /// All of them.
            pub const ALL: &[MessageId] = &[$(MessageId::$variant,)*];

            /// Its name, as in git's `receive.fsck.<id>`.
            pub fn as_str(self) -> &'static str {
                match self { $(MessageId::$variant => $name,)* }
            }

            /// What it means, for a person.
            pub fn explanation(self) -> &'static str {
                match self { $(MessageId::$variant => $explanation,)* }
            }

            /// How bad it is unless a policy says otherwise.
            pub fn default_severity(self) -> Severity {
                match self { $(MessageId::$variant => Severity::$severity,)* }
            }
        }
    };
}

messages! {
    NulInHeader "nulInHeader" Fatal "the header has a NUL byte";
    UnterminatedHeader "unterminatedHeader" Fatal "the header has no end";

    BadDate "badDate" Error "a date is no number";
    BadEmail "badEmail" Error "an e-mail address has no end";
    BadName "badName" Error "a name has a '>'";
    BadObjectSha1 "badObjectSha1" Error "the 'object' line has no object id";
    BadParentSha1 "badParentSha1" Error "a 'parent' line has no object id";
    BadTree "badTree" Error "it cannot be parsed as a tree";
    BadTreeSha1 "badTreeSha1" Error "the 'tree' line has no object id";
    BadType "badType" Error "the 'type' line has none of the four types";
    DuplicateEntries "duplicateEntries" Error "it has two entries of one name";
    GitattributesBlob "gitattributesBlob" Error "its .gitattributes is no blob";
    GitattributesLarge "gitattributesLarge" Error ".gitattributes is too large to be parsed";
    GitattributesLineLength "gitattributesLineLength" Error ".gitattributes has a line that is too long";
    GitattributesMissing "gitattributesMissing" Error ".gitattributes cannot be read";
    GitmodulesBlob "gitmodulesBlob" Error "its .gitmodules is no blob";
    GitmodulesLarge "gitmodulesLarge" Error ".gitmodules is too large to be parsed";
    GitmodulesMissing "gitmodulesMissing" Error ".gitmodules cannot be read";
    GitmodulesName "gitmodulesName" Error "disallowed submodule name";
    GitmodulesPath "gitmodulesPath" Error "disallowed submodule path";
    GitmodulesSymlink "gitmodulesSymlink" Error ".gitmodules is a symbolic link";
    GitmodulesUpdate "gitmodulesUpdate" Error "disallowed submodule update setting";
    GitmodulesUrl "gitmodulesUrl" Error "disallowed submodule url";
    MissingAuthor "missingAuthor" Error "there is no 'author' line";
    MissingCommitter "missingCommitter" Error "there is no 'committer' line";
    MissingNameBeforeEmail "missingNameBeforeEmail" Error "there is no name before an e-mail address";
    MissingObject "missingObject" Error "there is no 'object' line";
    MissingSpaceBeforeEmail "missingSpaceBeforeEmail" Error "there is no space before an e-mail address";
    MissingTag "missingTag" Error "the 'tag' line has no end";
    MissingTagEntry "missingTagEntry" Error "there is no 'tag' line";
    MissingTree "missingTree" Error "there is no 'tree' line";
    MissingType "missingType" Error "the 'type' line has no end";
    MissingTypeEntry "missingTypeEntry" Error "there is no 'type' line";
    MultipleAuthors "multipleAuthors" Error "there are several 'author' lines";
    TreeNotSorted "treeNotSorted" Error "its entries are not sorted";
    UnknownType "unknownType" Error "it is of an unknown type";

    HasDot "hasDot" Error "it has an entry '.'";
    HasDotdot "hasDotdot" Error "it has an entry '..'";
    HasDotgit "hasDotgit" Error "it has an entry that is '.git' to some file system";
    NullSha1 "nullSha1" Error "it has an entry that points to the null id";

    BadDateOverflow "badDateOverflow" Warn "a date is too large";
    BadTimezone "badTimezone" Warn "a time zone has not the form +hhmm";
    EmptyName "emptyName" Warn "it has an entry without a name";
    FullPathname "fullPathname" Warn "it has an entry with a '/' in its name";
    LargePathname "largePathname" Warn "it has an entry with a very long name";
    MissingEmail "missingEmail" Warn "there is no e-mail address";
    MissingSpaceBeforeDate "missingSpaceBeforeDate" Warn "there is no space before a date";
    NulInCommit "nulInCommit" Warn "the message has a NUL byte";
    ZeroPaddedDate "zeroPaddedDate" Warn "a date begins with a zero";
    ZeroPaddedFilemode "zeroPaddedFilemode" Warn "a file mode begins with a zero";

    BadFilemode "badFilemode" Info "a file mode is not one that git writes";
    BadTagName "badTagName" Info "its name cannot be the name of a tag";
    GitattributesSymlink "gitattributesSymlink" Info ".gitattributes is a symbolic link";
    GitignoreSymlink "gitignoreSymlink" Info ".gitignore is a symbolic link";
    GitmodulesParse "gitmodulesParse" Info ".gitmodules cannot be parsed";
    MailmapSymlink "mailmapSymlink" Info ".mailmap is a symbolic link";
    MissingTaggerEntry "missingTaggerEntry" Info "there is no 'tagger' line";

    ExtraHeaderEntry "extraHeaderEntry" Ignore "there are headers after 'tagger'";
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// In upper or lower case, as names in git's configuration are.
impl FromStr for MessageId {
    type Err = UnknownMessage;

    fn from_str(name: &str) -> Result<Self, UnknownMessage> {
        let found = MessageId::ALL.iter().find(|id| id.as_str().eq_ignore_ascii_case(name));
        found.copied().ok_or_else(|| UnknownMessage(name.to_owned()))
    }
}
