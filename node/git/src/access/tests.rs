//! Who is let in, who is not, and in which words; on a catalog that this node has, and on one that
//! it lags behind.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use gitstratum_catalog::command::{ConfigureRepository, CreateRepository, CreateToken};
use gitstratum_catalog::entity::{Access, RepositoryLimits};
use gitstratum_catalog::ids::{ClientId, RepositoryId};
use gitstratum_catalog::secret::Secret;
use gitstratum_catalog::{Command, Operation, Request};
use gitstratum_core::limits::WRONG_SECRETS_AT_ONCE;
use gitstratum_core::metrics::Samples;
use gitstratum_core::object::HashAlgorithm;

use super::*;
use crate::fixture::{Scripted, id};
use crate::service::{ProgressSink, PushRequest, RefCommand};

const HOUR_MS: u64 = 3_600_000;

/// What all agreed on, and what this node has of it.
struct Catalog {
    agreed: Mutex<State>,
    here: Mutex<Option<State>>,
    is_reachable: AtomicBool,
    caught_up: AtomicUsize,
}

impl Catalog {
    fn apply(&self, operation: Operation) {
        let mut agreed = self.agreed.lock().unwrap();
        let number = agreed.position() + 1;
        let request = Request { client: ClientId([1; 16]), number };
        let (at_ms, who) = (unix_time_ms(), "ann".to_owned());
        let command = Command { group: 0, request, at_ms, who, operation };
        agreed.apply(number, command).into_result().unwrap();
    }

    fn create(&self, name: &str) {
        self.apply(Operation::CreateRepository(CreateRepository {
            name: name.to_owned(),
            object_format: HashAlgorithm::Sha1,
            default_branch: "refs/heads/main".to_owned(),
            description: String::new(),
            limits: RepositoryLimits::default(),
            hidden_refs: Vec::new(),
        }));
    }

    fn set_public(&self, repository: u64, public: bool) {
        self.apply(Operation::ConfigureRepository(ConfigureRepository {
            repository: RepositoryId(repository),
            default_branch: None,
            description: None,
            limits: None,
            hidden_refs: None,
            public: Some(public),
        }));
    }

    /// A token whose secret is of these bytes.
    fn issue(&self, byte: u8, access: Access, prefix: &str, expires_at_ms: Option<u64>) {
        self.apply(Operation::CreateToken(CreateToken {
            hash: secret(byte).hash(),
            description: format!("of {byte}"),
            access,
            prefix: prefix.to_owned(),
            expires_at_ms,
        }));
    }

    fn deliver(&self) {
        *self.here.lock().unwrap() = Some(self.agreed.lock().unwrap().clone());
    }
}

#[async_trait]
impl Directory for Catalog {
    fn look(&self, secret: Option<&TokenHash>, repository: &str) -> Option<Facts> {
        let here = self.here.lock().unwrap();
        here.as_ref().map(|state| facts_of(state, secret, repository))
    }

    async fn catch_up(&self) -> Result<(), RepositoryError> {
        self.caught_up.fetch_add(1, Ordering::Relaxed);
        match self.is_reachable.load(Ordering::Relaxed) {
            true => {
                self.deliver();
                Ok(())
            }
            false => Err(RepositoryError::Unavailable("no majority answers".to_owned())),
        }
    }
}

/// Repositories by name, found in what all agreed on.
struct Named(Arc<Catalog>);

#[async_trait]
impl Repositories for Named {
    async fn open(
        &self,
        name: &str,
        _: Purpose,
        _: &Caller,
    ) -> Result<Arc<dyn Repository>, OpenError> {
        let unavailable = |error: RepositoryError| OpenError::Unavailable(error.to_string());
        self.0.catch_up().await.map_err(unavailable)?;
        match self.0.agreed.lock().unwrap().repository_named(name) {
            Some(_) => Ok(Arc::new(Scripted::default())),
            None => Err(OpenError::NotFound { name: name.to_owned() }),
        }
    }
}

fn secret(byte: u8) -> Secret {
    Secret::of([byte; 32])
}

fn given(user: &str, secret: &str) -> Credentials {
    Credentials::Given { user: user.to_owned(), secret: Secret::given(secret) }
}

fn by(byte: u8) -> Credentials {
    given("x", secret(byte).expose())
}

/// Of all repositories, of a group, of one; read-only, expired.
const ALL: u8 = 1;
const TEAM: u8 = 2;
const ONE: u8 = 3;
const READER: u8 = 4;
const EXPIRED: u8 = 5;
const UNKNOWN: u8 = 99;

fn cluster() -> (Arc<Catalog>, Guard) {
    let catalog = Arc::new(Catalog {
        agreed: Mutex::new(State::new(0)),
        here: Mutex::default(),
        is_reachable: true.into(),
        caught_up: AtomicUsize::new(0),
    });
    for name in ["team/a", "team/b", "public"] {
        catalog.create(name);
    }
    catalog.set_public(3, true);
    let in_an_hour = Some(unix_time_ms() + HOUR_MS);
    catalog.issue(ALL, Access::Write, "", in_an_hour);
    catalog.issue(TEAM, Access::Write, "team", None);
    catalog.issue(ONE, Access::Write, "team/a", None);
    catalog.issue(READER, Access::Read, "team", None);
    catalog.issue(EXPIRED, Access::Write, "", Some(unix_time_ms() + 1));
    while unix_time_ms() <= catalog.agreed.lock().unwrap().clock_ms() + 1 {
        std::thread::yield_now();
    }
    catalog.deliver();
    let guard = Guard::new(Arc::new(Named(catalog.clone())), Policy::Tokens(catalog.clone()));
    (catalog, guard)
}

async fn open(
    guard: &Guard,
    name: &str,
    purpose: Purpose,
    credentials: Credentials,
) -> Result<Arc<dyn Repository>, OpenError> {
    let caller = Caller { credentials, address: "10.0.0.1:4000".to_owned(), identity: None };
    guard.open(name, purpose, &caller).await
}

/// How a request ends: `ok`, or a word for the kind of refusal and what it says.
async fn said(guard: &Guard, name: &str, purpose: Purpose, credentials: Credentials) -> String {
    match open(guard, name, purpose, credentials).await {
        Ok(_) => "ok".to_owned(),
        Err(error) => {
            let kind = match &error {
                OpenError::NotFound { .. } | OpenError::InvalidName { .. } => "not found",
                OpenError::Unauthorized(_) => "unauthorized",
                OpenError::Forbidden(_) => "forbidden",
                OpenError::Limited { .. } => "limited",
                OpenError::Unavailable(_) => "unavailable",
            };
            format!("{kind}: {error}")
        }
    }
}

#[tokio::test]
async fn each_is_let_in_where_its_token_says_and_nowhere_else() {
    let (_, guard) = cluster();
    let (fetch, push) = (Purpose::Fetch, Purpose::Push);
    let none = || Credentials::Missing;
    let cases: Vec<(&str, Purpose, Credentials, &str)> = vec![
        ("team/a", fetch, by(ALL), "ok"),
        ("team/a", push, by(ALL), "ok"),
        ("team/a", push, by(TEAM), "ok"),
        ("team/a", push, by(ONE), "ok"),
        ("team/a", fetch, by(READER), "ok"),
        (
            "team/a",
            push,
            by(READER),
            "forbidden: access token 4 (\"of 4\") has the scope read, and a push takes write",
        ),
        // Any user name will do, and none.
        ("team/a", push, given("", secret(TEAM).expose()), "ok"),
        // What may not be read looks like what does not exist.
        ("team/b", fetch, by(ONE), "not found: repository \"team/b\" not found"),
        ("team/b", push, by(ONE), "not found: repository \"team/b\" not found"),
        ("team/none", fetch, by(ONE), "not found: repository \"team/none\" not found"),
        ("team/none", fetch, by(ALL), "not found: repository \"team/none\" not found"),
        (
            "team/b",
            fetch,
            none(),
            "unauthorized: an access token is needed here: give its secret as the password, with any user name",
        ),
        (
            "team/none",
            fetch,
            none(),
            "unauthorized: an access token is needed here: give its secret as the password, with any user name",
        ),
        (
            "a//b",
            fetch,
            none(),
            "unauthorized: an access token is needed here: give its secret as the password, with any user name",
        ),
        ("a//b", fetch, by(TEAM), "not found: repository \"a//b\" not found"),
        // What is public is read by anybody, and pushed to by none but those who may.
        ("public", fetch, none(), "ok"),
        ("public", fetch, Credentials::Unreadable("it is odd"), "ok"),
        ("public", fetch, by(ONE), "ok"),
        (
            "public",
            push,
            none(),
            "unauthorized: an access token is needed here: give its secret as the password, with any user name",
        ),
        (
            "public",
            push,
            by(TEAM),
            "forbidden: access token 2 (\"of 2\") is for \"team\", and a push to \"public\" takes one that is for that",
        ),
        ("public", push, by(ALL), "ok"),
        // What is wrong is wrong everywhere.
        (
            "public",
            fetch,
            by(UNKNOWN),
            "unauthorized: this access token is not known: it was revoked, or it is mistyped",
        ),
        ("team/a", fetch, by(EXPIRED), "unauthorized: access token 5 (\"of 5\") has expired"),
        (
            "team/a",
            fetch,
            given("x", ""),
            "unauthorized: an access token is needed here: give its secret as the password, with any user name",
        ),
        (
            "team/a",
            fetch,
            given(secret(ALL).expose(), ""),
            "unauthorized: the secret of an access token stands where the user name does: give its secret as the password, with any user name",
        ),
        (
            "team/a",
            fetch,
            Credentials::Unreadable("it is odd"),
            "unauthorized: the header Authorization cannot be read: it is odd; an access token is needed here: give its secret as the password, with any user name",
        ),
    ];
    for (name, purpose, credentials, expected) in cases {
        let asked = format!("{purpose:?} {name} by {credentials:?}");
        let said = said(&guard, name, purpose, credentials).await;
        assert_eq!(said, expected, "{asked}");
        assert!(!said.contains("gst_"), "{said}");
    }
}

#[tokio::test]
async fn a_token_that_was_made_elsewhere_is_good_here_at_once_and_a_revoked_one_is_not() {
    let (catalog, guard) = cluster();
    catalog.issue(6, Access::Write, "team", None);
    assert!(catalog.look(Some(&secret(6).hash()), "team/a").unwrap().holder.is_none(), "not yet");
    assert_eq!(said(&guard, "team/a", Purpose::Push, by(6)).await, "ok");
    // This node has not heard of either.
    let (_, token) =
        (0, catalog.agreed.lock().unwrap().token_with_hash(&secret(6).hash()).unwrap().0);
    catalog.apply(Operation::RevokeToken { token });
    catalog.set_public(3, false);
    assert!(catalog.look(Some(&secret(6).hash()), "team/a").unwrap().holder.is_some());
    let refused = said(&guard, "team/a", Purpose::Push, by(6)).await;
    assert!(refused.starts_with("unauthorized: this access token is not known"), "{refused}");
    let refused = said(&guard, "public", Purpose::Fetch, Credentials::Missing).await;
    assert!(refused.starts_with("unauthorized"), "{refused}");
}

#[tokio::test]
async fn one_who_guesses_is_limited_and_good_tokens_beside_it_are_served() {
    let (catalog, guard) = cluster();
    let before = catalog.caught_up.load(Ordering::Relaxed);
    let mut kinds = Vec::new();
    for guess in 0..2 * WRONG_SECRETS_AT_ONCE {
        let credentials = given("x", &format!("gst_{guess}"));
        let said = said(&guard, "team/a", Purpose::Fetch, credentials).await;
        kinds.push(said.split(':').next().unwrap_or_default().to_owned());
        // From the same address.
        assert_eq!(self::said(&guard, "team/a", Purpose::Fetch, by(ALL)).await, "ok");
    }
    let count = |kind: &str| kinds.iter().filter(|found| *found == kind).count() as u64;
    assert_eq!(
        (count("unauthorized"), count("limited")),
        (WRONG_SECRETS_AT_ONCE, WRONG_SECRETS_AT_ONCE)
    );
    let limited = open(&guard, "team/a", Purpose::Fetch, by(UNKNOWN)).await;
    let Err(OpenError::Limited { retry_after, .. }) = limited else { panic!("{limited:?}") };
    assert!(!retry_after.is_zero());
    // The work that it made is bounded: each good request asks the others once.
    let asked = catalog.caught_up.load(Ordering::Relaxed) - before;
    assert_eq!(asked as u64, 3 * WRONG_SECRETS_AT_ONCE);
    let samples = Samples::registered_by(|registry| guard.register(registry));
    assert_eq!(samples.count("gitstratum_git_tokens_wrong_total"), WRONG_SECRETS_AT_ONCE);
    assert_eq!(samples.count("gitstratum_git_tokens_limited_total"), WRONG_SECRETS_AT_ONCE + 1);
    // Another address has its own budget.
    let caller =
        Caller { credentials: by(UNKNOWN), address: "10.0.0.2:1".to_owned(), identity: None };
    let refused = guard.open("team/a", Purpose::Fetch, &caller).await.unwrap_err();
    assert!(matches!(refused, OpenError::Unauthorized(_)), "{refused}");
}

#[tokio::test]
async fn a_node_whose_catalog_cannot_be_read_lets_nobody_in_and_says_why() {
    let (catalog, guard) = cluster();
    catalog.is_reachable.store(false, Ordering::Relaxed);
    // A known token is not enough: what it opens has to be found.
    for credentials in [by(ALL), by(UNKNOWN)] {
        let said = said(&guard, "team/a", Purpose::Fetch, credentials).await;
        assert!(
            said.starts_with("unavailable: ") && said.contains("no majority answers"),
            "{said}"
        );
    }
    *catalog.here.lock().unwrap() = None;
    let refused = said(&guard, "public", Purpose::Fetch, Credentials::Missing).await;
    let expected = "unavailable: access tokens cannot be looked up: no majority answers";
    assert_eq!(refused, expected);
    // One that starts has it a moment later.
    catalog.is_reachable.store(true, Ordering::Relaxed);
    assert_eq!(said(&guard, "team/a", Purpose::Fetch, by(ALL)).await, "ok");
}

#[tokio::test]
async fn a_clock_that_is_behind_does_not_bring_a_token_back() {
    let (catalog, guard) = cluster();
    catalog.issue(7, Access::Read, "", Some(unix_time_ms() + HOUR_MS));
    assert_eq!(said(&guard, "team/a", Purpose::Fetch, by(7)).await, "ok");
    // Another node's clock says that the hour is over.
    {
        let mut agreed = catalog.agreed.lock().unwrap();
        let number = agreed.position() + 1;
        let request = Request { client: ClientId([2; 16]), number };
        let at_ms = unix_time_ms() + 2 * HOUR_MS;
        let operation = Operation::AdvanceClock;
        agreed.apply(number, Command { group: 0, request, at_ms, who: String::new(), operation });
    }
    let refused = said(&guard, "team/a", Purpose::Fetch, by(7)).await;
    assert!(refused.ends_with("has expired"), "{refused}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        let bytes: MutexGuard<'_, Vec<u8>> = self.0.lock().unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

struct Unheard;

#[async_trait]
impl ProgressSink for Unheard {
    async fn progress(&mut self, _: &str) {}
}

#[tokio::test]
async fn a_push_is_told_to_the_audit_log_with_who_and_what_and_without_secrets() {
    let (_, guard) = cluster();
    let log = Log::default();
    let written = log.clone();
    let subscriber =
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || written.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let repository = open(&guard, "team/a", Purpose::Push, by(TEAM)).await.unwrap();
    let command = |name: &str| RefCommand { name: name.to_owned(), old: None, new: Some(id(1)) };
    let mut commands = vec![command("refs/heads/\nFORGED token=1")];
    commands.extend((0..20).map(|n| command(&format!("refs/heads/{n}"))));
    let request = |commands| PushRequest {
        commands,
        atomic: false,
        options: Vec::new(),
        client_shallow: Vec::new(),
    };
    repository.push(request(commands), None, &mut Unheard).await.unwrap();
    let text = log.text();
    assert_eq!(text.lines().count(), 1, "{text}");
    for expected in [
        "INFO audit: push",
        "token=2",
        "holder=\"of 2\"",
        "address=\"10.0.0.1:4000\"",
        "repository=\"team/a\"",
        "refs/heads/0 nothing..0101010101010101010101010101010101010101 done",
        "and 5 more",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains(secret(TEAM).expose()), "{text}");

    // One whose client goes away is told too.
    let waiting = Scripted { thinks: std::time::Duration::from_secs(3600), ..Scripted::default() };
    let audited = Audited::new(Arc::new(waiting), "team/a", None, "10.0.0.1:1");
    let mut progress = Unheard;
    let push = audited.push(request(vec![command("refs/heads/x")]), None, &mut progress);
    let gone = tokio::time::timeout(std::time::Duration::from_millis(10), push).await;
    assert!(gone.is_err());
    let text = log.text();
    let last = text.lines().last().unwrap();
    assert!(last.contains("push failed") && last.contains("holder=\"anybody\""), "{last}");
    assert!(last.contains("it ended before its outcome was known"), "{last}");
}

#[test]
fn an_identity_fits_what_reflogs_take_and_has_nothing_that_breaks_a_line() {
    let token = |description: &str| Token {
        description: description.to_owned(),
        access: Access::Read,
        prefix: String::new(),
        created_at_ms: 0,
        expires_at_ms: None,
    };
    let identity = |description| Holder { id: TokenId(3), token: token(description) }.identity();
    assert_eq!(identity("ci\n"), "ci (token 3)");
    let long = identity(&"é".repeat(400));
    assert!(long.len() <= gitstratum_core::limits::WHO_BYTES_MAX && long.ends_with("é (token 3)"));
}
