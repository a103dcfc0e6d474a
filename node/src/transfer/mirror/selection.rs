//! Ref selection: which refs of a remote a mirror follows.

/// Prefixes under which hosts keep refs of their own: proposed changes, and what they do not want to
/// lose. As repositories they are noise, and often more than all branches.
const KEPT_BY_HOSTS: [&str; 10] = [
    "refs/pull/",
    "refs/pull-requests/",
    "refs/merge-requests/",
    "refs/changes/",
    "refs/cache-automerge/",
    "refs/keep-around/",
    "refs/environments/",
    "refs/pipelines/",
    "refs/for/",
    "refs/review/",
];
/// What is ours on both sides, and never followed.
const OURS: &str = "refs/gitstratum/";

/// Which refs are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All but those that hosts keep for themselves.
    Usual,
    /// All.
    All,
    /// Those that match one of these patterns: full names, in which `*` stands for anything.
    Matching(Vec<String>),
}

/// Why something is no pattern of refs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} matches no ref: full names are meant, such as refs/heads/* or refs/tags/v1")]
pub struct PatternError(String);

impl Selection {
    /// Reads patterns.
    ///
    /// # Errors
    /// [`PatternError`] for one that is of no full name.
    pub fn matching(patterns: Vec<String>) -> Result<Self, PatternError> {
        match patterns.iter().find(|pattern| !pattern.starts_with("refs/")) {
            Some(wrong) => Err(PatternError(wrong.clone())),
            None => Ok(Selection::Matching(patterns)),
        }
    }

    /// Whether a ref is followed.
    pub fn covers(&self, name: &str) -> bool {
        name.starts_with("refs/")
            && !name.starts_with(OURS)
            && match self {
                Selection::Usual => !KEPT_BY_HOSTS.iter().any(|kept| name.starts_with(kept)),
                Selection::All => true,
                Selection::Matching(patterns) => {
                    patterns.iter().any(|pattern| matches(pattern, name))
                }
            }
    }

    /// How all names begin that can be covered; none where that is of no use.
    pub(super) fn prefixes(&self) -> Vec<&str> {
        match self {
            Selection::Usual | Selection::All => Vec::new(),
            Selection::Matching(patterns) => {
                patterns.iter().map(|pattern| pattern.split('*').next().unwrap_or("")).collect()
            }
        }
    }
}

/// Whether all of a name matches a pattern. The first place at which each part between two stars is
/// found is as good as any later one.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, name, expected) in [
            ("refs/heads/main", "refs/heads/main", true),
            ("refs/heads/main", "refs/heads/mainline", false),
            ("refs/heads/*", "refs/heads/a/b", true),
            ("refs/heads/*", "refs/tags/a", false),
            ("refs/*/v*.0", "refs/tags/v1.0", true),
            ("refs/*/v*.0", "refs/tags/v1.1", false),
            ("refs/heads/a*a", "refs/heads/a", false),
            ("refs/heads/a*a", "refs/heads/aa", true),
            ("refs/*b*bc", "refs/abc", false),
            ("refs/*b*bc", "refs/abbc", true),
            ("refs/**", "refs/x", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_hosts_keep_for_themselves_is_left_out_unless_asked_for() {
        let names = ["refs/heads/a", "refs/tags/a", "refs/notes/a", "refs/pull/1/head"];
        let covered = |selection: &Selection| names.map(|name| selection.covers(name));
        assert_eq!(covered(&Selection::Usual), [true, true, true, false]);
        assert_eq!(covered(&Selection::All), [true; 4]);
        let chosen = vec!["refs/tags/*".to_owned(), "refs/pull/*/head".to_owned()];
        let chosen = Selection::matching(chosen).unwrap();
        assert_eq!(covered(&chosen), [false, true, false, true]);
        assert_eq!(chosen.prefixes(), ["refs/tags/", "refs/pull/"]);
        assert!(!Selection::All.covers("HEAD"));
        assert!(!Selection::All.covers("refs/gitstratum/import/0"));
        assert!(Selection::matching(vec!["main".to_owned()]).is_err());
    }
}
