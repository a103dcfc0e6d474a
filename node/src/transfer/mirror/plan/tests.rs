//! Plans as lists of what is done.

use super::super::Selection;
use super::*;
use gitstratum_git::service::AdvertisedRef;

fn id(digit: char) -> ObjectId {
    digit.to_string().repeat(40).parse().unwrap()
}

/// Refs written as `name=digit`.
fn refs(text: &str) -> BTreeMap<String, ObjectId> {
    let read = |word: &str| {
        let (name, digit) = word.split_once('=').unwrap();
        (format!("refs/{name}"), id(digit.chars().next().unwrap()))
    };
    text.split_whitespace().map(read).collect()
}

fn branch(name: &str) -> Head {
    Head::Branch(format!("refs/heads/{name}"))
}

struct Case {
    theirs: RemoteRefs,
    ours: Refs,
    options: MirrorOptions,
    followed: BTreeMap<String, ObjectId>,
}

/// Both `HEAD`s are at `main`, and nothing is deleted.
fn case(theirs: &str, ours: &str) -> Case {
    let listed = |(name, id)| AdvertisedRef { name, id, peeled: None };
    Case {
        theirs: RemoteRefs {
            head: Some(branch("main")),
            refs: refs(theirs),
            ..RemoteRefs::default()
        },
        ours: Refs { head: branch("main"), refs: refs(ours).into_iter().map(listed).collect() },
        options: MirrorOptions { selection: Selection::Usual, prune: false, force: false },
        followed: BTreeMap::new(),
    }
}

impl Case {
    fn plan(&self) -> Plan {
        Plan::new(&self.options, &self.theirs, &self.ours, &self.followed)
    }

    /// What is done, as `name old new`, where `-` stands for nothing; and which refs are at risk.
    fn lines(&self) -> (Vec<String>, Vec<String>) {
        let plan = self.plan();
        let digit =
            |id: Option<ObjectId>| id.map_or("-".to_owned(), |id| id.to_string()[..1].into());
        let line = |command: &RefCommand| {
            let name = command.name.trim_start_matches("refs/");
            format!("{name} {} {}", digit(command.old), digit(command.new))
        };
        let mut lines: Vec<String> = plan.commands.iter().map(line).collect();
        lines.extend(plan.last_deletion.iter().map(|last| format!("last {}", line(last))));
        let name = |(name, _): &(String, ObjectId)| name.trim_start_matches("refs/").to_owned();
        (lines, plan.at_risk.iter().map(name).collect())
    }
}

#[test]
fn refs_are_made_moved_and_deleted_where_they_differ() {
    let mut case = case("heads/main=2 heads/new=1 tags/v=3", "heads/main=1 heads/gone=4 tags/v=3");
    let updates = ["heads/main 1 2", "heads/new - 1"];
    assert_eq!(case.lines(), (updates.map(str::to_owned).to_vec(), vec!["heads/main".to_owned()]));
    assert_eq!(case.plan().kept, ["refs/heads/gone"]);
    case.options.prune = true;
    let (lines, at_risk) = case.lines();
    assert_eq!(lines[2..], ["heads/gone 4 -"]);
    assert_eq!(at_risk, ["heads/main", "heads/gone"]);
    assert_eq!((case.plan().kept, case.plan().deletions()), (vec![], 1));
    // What an earlier round has set came from the remote.
    case.followed = refs("heads/main=1 heads/gone=5");
    assert_eq!(case.lines().1, ["heads/gone"]);
}

#[test]
fn what_is_not_followed_is_left_alone() {
    let mut case = case("heads/main=1", "heads/main=2 pull/1/head=3 gitstratum/import/x=4");
    case.options = MirrorOptions { selection: Selection::Usual, prune: true, force: false };
    assert_eq!(case.lines().0, ["heads/main 2 1"]);
    case.options.selection = Selection::Matching(vec!["refs/tags/*".to_owned()]);
    case.theirs.refs.clear();
    assert!(case.lines().0.is_empty() && case.plan().kept.is_empty());
}

#[test]
fn the_branch_of_head_goes_last_or_stays() {
    let mut case = case("heads/trunk=1", "heads/main=1");
    case.options.prune = true;
    assert_eq!(case.lines().0, ["heads/trunk - 1"], "HEAD of the remote is unborn at it");
    assert_eq!(case.plan().kept, ["refs/heads/main"]);
    case.theirs.head = Some(branch("trunk"));
    assert_eq!(case.lines().0, ["heads/trunk - 1", "last heads/main 1 -"]);
    assert_eq!(case.lines().1, ["heads/main"]);
    assert_eq!(case.plan().head, Some(branch("trunk")));
    case.theirs.head = None;
    assert_eq!((case.plan().head, case.plan().kept.len()), (None, 1));
    case.theirs.head = Some(Head::Branch("refs/pull/1/head".to_owned()));
    assert_eq!(case.plan().head, None);
}

#[test]
fn a_detached_head_is_fetched_with_what_changes() {
    let mut case = case("heads/main=2", "heads/main=1 heads/other=1 tags/a=3");
    case.theirs.head = Some(Head::Detached(id('9')));
    assert_eq!(case.plan().tips(), [id('2'), id('9')]);
    assert_eq!(case.plan().haves(&case.ours), [id('1'), id('3')]);
    case.theirs.refs = refs("heads/main=1");
    assert_eq!(case.plan().tips(), []);
}
