//! Members agree, whichever of them are away meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gitstratum_host::disk::{Scratch, scratch};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use tokio::time::{Instant, sleep, timeout};

use super::ledger::Ledger;
use crate::entry::MemberId;
use crate::error::{MembersError, ProposeError};
use crate::journal::Identity;
use crate::message::Member;
use crate::options::Options;
use crate::peers::{PeerError, Peers};
use crate::{Group, Opening, create};

const PATIENCE: Duration = Duration::from_secs(20);

/// Whom a message reaches: members that are open.
#[derive(Clone, Default)]
struct Switchboard {
    members: Arc<Mutex<BTreeMap<MemberId, Weak<Group<Ledger>>>>>,
    /// Machines without power: nobody says that they do not answer.
    dead: Arc<Mutex<BTreeSet<MemberId>>>,
}

/// A member's way to the others.
struct Line {
    from: MemberId,
    switchboard: Switchboard,
}

impl Switchboard {
    fn connect(&self, group: &Arc<Group<Ledger>>) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.insert(group.member(), Arc::downgrade(group));
    }

    fn disconnect(&self, id: MemberId) {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    fn power_off(&self, id: MemberId) {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    fn is_dead(&self, id: MemberId) -> bool {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    fn reach(&self, id: MemberId) -> Option<Arc<Group<Ledger>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).get(&id)?.upgrade()
    }
}

#[async_trait]
impl Peers for Line {
    async fn call(
        &self,
        to: &Member,
        request: Bytes,
        deadline: Duration,
    ) -> Result<Bytes, PeerError> {
        let Line { from, switchboard } = self;
        if switchboard.is_dead(*from) || switchboard.is_dead(to.id) {
            sleep(deadline).await;
            return Err(PeerError::NoAnswer("nothing came".into()));
        }
        let group =
            switchboard.reach(to.id).ok_or_else(|| PeerError::NotSent("it is away".into()))?;
        // On its own task, as of another machine.
        let answered = tokio::spawn(async move { group.receive(&request).await });
        answered.await.map_err(|error| PeerError::NoAnswer(error.into()))
    }
}

/// Some members with their disks.
struct Cluster {
    disks: BTreeMap<MemberId, Scratch>,
    open: BTreeMap<MemberId, Arc<Group<Ledger>>>,
    switchboard: Switchboard,
    options: Options,
}

fn name(id: MemberId) -> String {
    format!("n{id}")
}

impl Cluster {
    /// A group of one.
    async fn founded(options: Options) -> Self {
        let (disks, open, switchboard) = Default::default();
        let mut cluster = Cluster { disks, open, switchboard, options };
        cluster.make(1).await;
        cluster.open[&1].found("n1").await.unwrap();
        cluster
    }

    /// A group of three voters.
    async fn of_three(options: Options) -> Self {
        let mut cluster = Self::founded(options).await;
        for id in [2, 3] {
            cluster.join(id).await;
        }
        cluster.change(async |leader| leader.set_voters([1, 2, 3].into()).await).await;
        cluster
    }

    async fn make(&mut self, id: MemberId) {
        let scratch = scratch();
        let identity = Identity { group: 0, member: id };
        let mut rng = ChaCha12Rng::seed_from_u64(id);
        create(&scratch.disk, "group", identity, &mut rng).await.unwrap();
        self.disks.insert(id, scratch);
        self.start(id).await;
    }

    async fn join(&mut self, id: MemberId) {
        self.make(id).await;
        let member = Member { id, node: name(id) };
        self.change(async |leader| leader.add_learner(member.clone()).await).await;
    }

    async fn start(&mut self, id: MemberId) {
        let opening = Opening {
            disk: &self.disks[&id].disk,
            directory: "group",
            identity: Identity { group: 0, member: id },
            options: &self.options,
            peers: Arc::new(Line { from: id, switchboard: self.switchboard.clone() }),
            observer: None,
        };
        let mut rng = ChaCha12Rng::seed_from_u64(100 + id);
        let group = Arc::new(Group::open(opening, &mut rng).await.unwrap());
        self.switchboard.connect(&group);
        self.open.insert(id, group);
    }

    async fn stop(&mut self, id: MemberId) {
        self.switchboard.disconnect(id);
        let mut group = self.open.remove(&id).unwrap();
        let group = timeout(PATIENCE, async {
            loop {
                // Whoever talks to it still lets go of it.
                match Arc::try_unwrap(group) {
                    Ok(group) => return group,
                    Err(shared) => group = shared,
                }
                sleep(Duration::from_millis(5)).await;
            }
        });
        group.await.expect("nobody holds it").close().await;
    }

    /// The leader, once there is one that is open.
    async fn leader(&self) -> Arc<Group<Ledger>> {
        let found = timeout(PATIENCE, async {
            loop {
                let leads = |group: &&Arc<Group<Ledger>>| {
                    group.leader().is_some_and(|leader| leader.id == group.member())
                };
                if let Some(group) = self.open.values().find(leads) {
                    return group.clone();
                }
                sleep(Duration::from_millis(10)).await;
            }
        });
        found.await.expect("somebody leads")
    }

    /// Has whoever leads change the members: that may be another one before it is asked, and the
    /// change before this one may not be agreed on yet.
    async fn change(&self, change: impl AsyncFn(Arc<Group<Ledger>>) -> Result<(), MembersError>) {
        let changed = timeout(PATIENCE, async {
            while let Err(error) = change(self.leader().await).await {
                let is_early = error.to_string().contains("undergoing a configuration change");
                assert!(is_early || matches!(error, MembersError::NotLeader), "{error}");
                sleep(Duration::from_millis(10)).await;
            }
        });
        changed.await.expect("whoever leads changes the members");
    }

    async fn propose(&self, through: MemberId, command: &str) {
        let command = Bytes::copy_from_slice(command.as_bytes());
        self.open[&through].propose(command, PATIENCE).await.unwrap();
    }

    async fn read(&self, through: MemberId) -> Vec<String> {
        self.open[&through].read(PATIENCE, commands).await.unwrap()
    }

    /// Waits until all that are open have applied the same.
    async fn settle(&self) -> Ledger {
        let settled = timeout(PATIENCE, async {
            loop {
                let mut states = self.open.values().map(|group| group.with_local(Ledger::clone));
                let first = states.next().unwrap();
                if states.all(|state| state == first) {
                    return first;
                }
                sleep(Duration::from_millis(10)).await;
            }
        });
        settled.await.expect("they come to agree")
    }
}

fn commands(ledger: &Ledger) -> Vec<String> {
    let text = |(_, command): &(u64, Bytes)| String::from_utf8_lossy(command).into_owned();
    ledger.0.iter().map(text).collect()
}

fn small_snapshots() -> Options {
    Options { snapshot_bytes: 200, entries_kept: 3, ..Options::default() }
}

#[tokio::test]
async fn a_group_of_one_needs_nobody_and_keeps_what_it_acknowledged() {
    let mut cluster = Cluster::founded(Options::default()).await;
    cluster.propose(1, "a").await;
    // Founding it again changes nothing.
    cluster.open[&1].found("n1").await.unwrap();
    cluster.stop(1).await;
    cluster.start(1).await;
    cluster.propose(1, "b").await;
    assert_eq!(cluster.read(1).await, ["a", "b"]);
}

#[tokio::test]
async fn any_member_takes_commands_and_reads_see_what_was_acknowledged() {
    let cluster = Cluster::of_three(Options::default()).await;
    let mut expected = Vec::new();
    for round in 0..4 {
        for through in [1, 2, 3] {
            let command = format!("{round}.{through}");
            cluster.propose(through, &command).await;
            expected.push(command);
            for reader in [1, 2, 3] {
                assert_eq!(cluster.read(reader).await, expected);
            }
        }
    }
    cluster.settle().await;
}

#[tokio::test]
async fn two_of_three_go_on_without_the_leader_and_it_comes_back() {
    let mut cluster = Cluster::of_three(Options::default()).await;
    let mut expected = Vec::new();
    for round in 0..3 {
        let leader = cluster.leader().await.member();
        cluster.stop(leader).await;
        let left: Vec<MemberId> = cluster.open.keys().copied().collect();
        for through in left {
            let command = format!("{round}.{through}");
            cluster.propose(through, &command).await;
            expected.push(command);
        }
        cluster.start(leader).await;
        assert_eq!(cluster.read(leader).await, expected);
    }
    assert_eq!(commands(&cluster.settle().await), expected);
}

/// Much longer than a test should take that waits for no such silence.
fn patient() -> Options {
    Options { election_timeout: Duration::from_secs(6), ..Options::default() }
}

#[tokio::test]
async fn a_leader_that_steps_down_is_replaced_before_it_is_silent() {
    let options = patient();
    let mut cluster = Cluster::of_three(options.clone()).await;
    cluster.propose(1, "a").await;
    let mut expected = vec!["a".to_owned()];
    for round in 0..3 {
        let leader = cluster.leader().await;
        let (id, began) = (leader.member(), Instant::now());
        let next = leader.step_down(PATIENCE).await.unwrap().expect("there are others");
        assert_ne!(next.id, id);
        // Another that was asked has nothing to hand over, and it itself no longer does.
        assert_eq!(leader.step_down(PATIENCE).await.unwrap(), None);
        drop(leader);
        cluster.stop(id).await;
        let command = format!("after {round}");
        cluster.propose(next.id, &command).await;
        assert!(began.elapsed() < options.election_timeout, "{:?}", began.elapsed());
        expected.push(command);
        cluster.start(id).await;
        assert_eq!(cluster.read(id).await, expected);
    }
    assert_eq!(commands(&cluster.settle().await), expected);
}

#[tokio::test]
async fn commands_that_are_under_way_while_a_leader_steps_down_are_done_once() {
    let cluster = Cluster::of_three(patient()).await;
    let leader = cluster.leader().await;
    let proposed = (0..20).map(|number| {
        let group = cluster.open[&(number % 3 + 1)].clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(number)).await;
            group.propose(Bytes::from(number.to_string()), PATIENCE).await
        })
    });
    let proposed: Vec<_> = proposed.collect();
    sleep(Duration::from_millis(10)).await;
    leader.step_down(PATIENCE).await.unwrap().expect("there are others");
    for proposed in proposed {
        proposed.await.unwrap().unwrap();
    }
    let mut applied = commands(&cluster.settle().await);
    applied.sort_by_key(|command| command.parse::<u64>().unwrap());
    assert_eq!(applied, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_leader_steps_down_for_whoever_is_there_and_not_for_ever() {
    let mut cluster = Cluster::of_three(Options::default()).await;
    cluster.propose(1, "a").await;
    let leader = cluster.leader().await.member();
    let (away, there) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    cluster.stop(away).await;
    let next = cluster.open[&leader].step_down(PATIENCE).await.unwrap();
    assert_eq!(next.map(|next| next.id), Some(there));
    cluster.stop(leader).await;
    // Nobody is left who could follow.
    let refused = cluster.open[&there].step_down(Duration::from_secs(2)).await;
    assert!(matches!(refused, Err(MembersError::Refused(_)) | Ok(None)), "{refused:?}");

    let alone = Cluster::founded(Options::default()).await;
    alone.propose(1, "a").await;
    assert_eq!(alone.open[&1].step_down(PATIENCE).await.unwrap(), None);
    alone.propose(1, "b").await;
}

#[tokio::test]
async fn nobody_waits_for_a_leader_whose_machine_lost_its_power() {
    let cluster = Cluster::of_three(Options::default()).await;
    cluster.propose(1, "a").await;
    let leader = cluster.leader().await.member();
    let through = if leader == 1 { 2 } else { 1 };
    let member = &cluster.open[&through];
    assert_eq!(member.leader().map(|leader| leader.id), Some(leader));
    cluster.switchboard.power_off(leader);
    let both = timeout(PATIENCE / 2, async {
        tokio::join!(
            member.read(PATIENCE, commands),
            // Whether it was done nobody knows.
            member.propose(Bytes::from("b"), PATIENCE)
        )
    });
    let (read, proposed) = both.await.expect("long before the deadline of either");
    assert_eq!(read.unwrap()[0], "a");
    assert!(matches!(proposed, Err(ProposeError::Unknown(_))), "{proposed:?}");
    cluster.propose(through, "c").await;
}

#[tokio::test]
async fn one_of_three_does_nothing_and_says_so() {
    let mut cluster = Cluster::of_three(Options::default()).await;
    cluster.propose(1, "a").await;
    let leader = cluster.leader().await.member();
    for id in [1, 2, 3].into_iter().filter(|id| *id != leader) {
        cluster.stop(id).await;
    }
    let alone = cluster.open[&leader].clone();
    let waited = Duration::from_secs(3);
    let refused = alone.propose(Bytes::from("b"), waited).await;
    assert!(
        matches!(refused, Err(ProposeError::Unknown(_) | ProposeError::NotDone(_))),
        "{refused:?}"
    );
    assert!(alone.read(waited, Ledger::clone).await.is_err());
    assert_eq!(alone.with_local(commands), ["a"]);
}

#[tokio::test]
async fn who_was_away_for_long_is_given_a_snapshot() {
    let mut cluster = Cluster::of_three(small_snapshots()).await;
    let leader = cluster.leader().await.member();
    let away = leader % 3 + 1;
    cluster.stop(away).await;
    let mut expected = Vec::new();
    for count in 0..60 {
        let command = format!("command {count} of those that were missed");
        cluster.propose(leader, &command).await;
        expected.push(command);
    }
    // Nobody keeps the whole log for it.
    let purged = timeout(PATIENCE, async {
        while cluster.leader().await.status().purged.is_none_or(|at| at.index < 20) {
            sleep(Duration::from_millis(10)).await;
        }
    });
    purged.await.expect("the log is cut though one is away");
    cluster.start(away).await;
    assert_eq!(cluster.read(away).await, expected);
    // The engine says so a moment after the state is there.
    let noted = timeout(PATIENCE, async {
        while cluster.open[&away].status().snapshot.is_none_or(|at| at.index <= 20) {
            sleep(Duration::from_millis(10)).await;
        }
    });
    noted.await.expect("it was given a snapshot");
    // It goes on from the snapshot after a restart, too.
    cluster.stop(away).await;
    cluster.start(away).await;
    assert_eq!(cluster.read(away).await, expected);
    assert_eq!(commands(&cluster.settle().await), expected);
}

#[tokio::test]
async fn voters_change_one_step_at_a_time_and_who_is_removed_is_forgotten() {
    let mut cluster = Cluster::founded(Options::default()).await;
    cluster.propose(1, "a").await;
    for id in [2, 3, 4] {
        cluster.join(id).await;
    }
    cluster.change(async |leader| leader.set_voters([1, 2, 3].into()).await).await;
    cluster.propose(2, "b").await;
    // The leader makes room for another, and leaves.
    let first = cluster.leader().await.member();
    let other = [1, 2, 3].into_iter().find(|id| *id != first).unwrap();
    cluster.leader().await.hand_over(other).await.unwrap();
    let handed_over = timeout(PATIENCE, async {
        while cluster.leader().await.member() == first {
            sleep(Duration::from_millis(10)).await;
        }
    });
    handed_over.await.expect("another leads");
    let voters: BTreeSet<MemberId> = [1, 2, 3, 4].into_iter().filter(|id| *id != first).collect();
    cluster.change(async |leader| leader.set_voters(voters.clone()).await).await;
    cluster.change(async |leader| leader.remove_learners([first].into()).await).await;
    cluster.stop(first).await;
    cluster.propose(4, "c").await;
    let status = cluster.leader().await.status();
    assert!(!status.nodes.contains_key(&first) && status.nodes.len() == 3, "{status:?}");
    assert_eq!(commands(&cluster.settle().await), ["a", "b", "c"]);
    // A voter cannot be removed before it stopped voting.
    let voter = [cluster.leader().await.member()].into();
    assert!(cluster.leader().await.remove_learners(voter).await.is_err());
}

#[tokio::test]
async fn what_is_meant_for_another_or_is_no_request_is_refused() {
    use crate::message::{Envelope, Refusal, Request, Response, encode};

    let cluster = Cluster::founded(Options::default()).await;
    cluster.leader().await;
    let ask = async |request: Bytes| {
        let answer = cluster.open[&1].receive(&request).await;
        minicbor::decode::<Response>(&answer).unwrap()
    };
    let envelope =
        |group, to| encode(&Envelope { group, from: 9, to, request: Request::ReadIndex });
    assert!(matches!(ask(envelope(0, 1)).await, Response::ReadIndex(_)));
    let wrong = ask(envelope(0, 2)).await;
    assert!(matches!(wrong, Response::Refused(Refusal::WrongMember(1))), "{wrong:?}");
    let wrong = ask(envelope(1, 1)).await;
    assert!(matches!(wrong, Response::Refused(Refusal::WrongGroup)), "{wrong:?}");
    let whole = envelope(0, 1);
    for cut in 0..whole.len() {
        let answer = ask(whole.slice(..cut)).await;
        assert!(matches!(answer, Response::Refused(Refusal::Invalid(_))), "{cut}: {answer:?}");
    }
}
