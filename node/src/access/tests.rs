//! What a secret is worth, and how often the others are asked.

use gitstratum_catalog::entity::Token;
use gitstratum_catalog::ids::TokenId;
use gitstratum_core::limits::WRONG_SECRETS_AT_ONCE;
use gitstratum_git::access::Holder;

use super::*;

const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
const FAR_FUTURE_MS: u64 = 1 << 50;

/// A catalog as a node has it, and what the others have.
#[derive(Default)]
struct Fixture {
    here: Mutex<Vec<(TokenHash, Token)>>,
    elsewhere: Mutex<Vec<(TokenHash, Token)>>,
    clock_ms: Mutex<u64>,
    is_alone: Mutex<bool>,
    questions: Mutex<u32>,
}

impl Fixture {
    fn put(&self, secret: &str, expires_at_ms: u64) {
        let token = Token {
            description: "ci".to_owned(),
            access: Access::Write,
            prefix: "team".to_owned(),
            created_at_ms: 0,
            expires_at_ms: Some(expires_at_ms),
        };
        self.elsewhere.lock().unwrap().push((Secret::given(secret).hash(), token));
    }

    fn questions(&self) -> u32 {
        *self.questions.lock().unwrap()
    }
}

#[async_trait]
impl Directory for Fixture {
    fn look(&self, secret: Option<&TokenHash>, _: &str) -> Option<Facts> {
        let here = self.here.lock().unwrap();
        let found = here.iter().position(|(hash, _)| Some(hash) == secret);
        let holder = found.map(|at| Holder { id: TokenId(1), token: here[at].1.clone() });
        let clock_ms = *self.clock_ms.lock().unwrap();
        Some(Facts { holder, clock_ms, is_public: false })
    }

    async fn catch_up(&self) -> Result<(), RepositoryError> {
        *self.questions.lock().unwrap() += 1;
        if *self.is_alone.lock().unwrap() {
            return Err(RepositoryError::Unavailable("no majority".to_owned()));
        }
        self.here.lock().unwrap().clone_from(&self.elsewhere.lock().unwrap());
        Ok(())
    }
}

fn fixture() -> (Arc<Fixture>, CatalogGrants) {
    let fixture = Arc::new(Fixture::default());
    fixture.put("good", FAR_FUTURE_MS);
    (fixture.clone(), CatalogGrants::new(fixture))
}

async fn recent(grants: &CatalogGrants, secret: &str) -> Result<Grant, NoGrant> {
    grants.grant_of(secret, FROM, Recency::Recent).await
}

/// As if nobody had asked the others for so long.
fn age(grants: &CatalogGrants) {
    let mut known = grants.caught_up();
    known.with = known.with.and_then(|with| with.checked_sub(TOKENS_KNOWN_FOR_MAX));
}

#[tokio::test]
async fn requests_share_a_question_and_a_revoked_token_is_worth_nothing_when_that_is_old() {
    let (fixture, grants) = fixture();
    for _ in 0..100 {
        let grant = recent(&grants, "good").await.unwrap();
        assert_eq!((grant.scope, grant.prefix.as_str()), (Scope::Write, "team"));
    }
    assert_eq!(fixture.questions(), 1);
    fixture.elsewhere.lock().unwrap().clear();
    assert!(recent(&grants, "good").await.is_ok(), "nobody has asked meanwhile");
    age(&grants);
    assert_eq!(recent(&grants, "good").await, Err(NoGrant::Unknown));
    // One that was made a moment ago is good at once.
    fixture.put("new", FAR_FUTURE_MS);
    assert!(recent(&grants, "new").await.is_ok());
}

#[tokio::test]
async fn a_node_that_is_cut_off_lets_nobody_in_once_what_it_has_is_old() {
    let (fixture, grants) = fixture();
    assert!(recent(&grants, "good").await.is_ok());
    *fixture.is_alone.lock().unwrap() = true;
    assert!(recent(&grants, "good").await.is_ok());
    age(&grants);
    let refused = recent(&grants, "good").await.unwrap_err();
    assert!(matches!(&refused, NoGrant::Unavailable(why) if why.contains("no majority")));
    // Who it is, it says by what it has; to nobody else.
    assert!(grants.grant_of("good", FROM, Recency::Any).await.is_ok());
    assert!(grants.grant_of("bad", FROM, Recency::Any).await.is_err());
    *fixture.is_alone.lock().unwrap() = false;
    assert!(recent(&grants, "good").await.is_ok());
}

#[tokio::test]
async fn who_guesses_makes_no_more_questions_than_its_address_may() {
    let (fixture, grants) = fixture();
    for guess in 0..3 * WRONG_SECRETS_AT_ONCE {
        let refused = recent(&grants, &format!("bad {guess}")).await.unwrap_err();
        let is_limited = matches!(refused, NoGrant::Limited(_));
        assert!(is_limited || refused == NoGrant::Unknown, "{refused:?}");
        assert!(is_limited || guess < WRONG_SECRETS_AT_ONCE + 2, "{guess}");
        assert!(recent(&grants, "good").await.is_ok(), "from the same address");
    }
    assert!(u64::from(fixture.questions()) < WRONG_SECRETS_AT_ONCE + 4, "{}", fixture.questions());
}

#[tokio::test]
async fn a_token_expires_by_the_later_of_two_clocks() {
    let (fixture, grants) = fixture();
    fixture.put("old", 1);
    let expired = Err(NoGrant::Expired("access token 1 (\"ci\")".to_owned()));
    assert_eq!(recent(&grants, "old").await, expired);
    *fixture.clock_ms.lock().unwrap() = FAR_FUTURE_MS;
    assert_eq!(recent(&grants, "good").await, expired);
}
