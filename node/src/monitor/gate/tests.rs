//! Who is let in, and what everybody else is told.

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gitstratum_cluster::transport::Scope;
use http::HeaderValue;
use http::header::AUTHORIZATION;

use super::*;

const GOOD: &str = "gst_good";
const EXPIRED: &str = "gst_expired";

/// Knows one token that is good; reaches the others or does not.
struct Known {
    reaches_others: bool,
}

#[async_trait]
impl Grants for Known {
    async fn grant_of(&self, secret: &str, _: IpAddr, recency: Recency) -> Result<Grant, NoGrant> {
        if !self.reaches_others && (recency == Recency::Recent || secret != GOOD) {
            return match recency {
                Recency::Recent => Err(NoGrant::Unavailable("no majority".to_owned())),
                // As long as the others do not answer.
                Recency::Any => std::future::pending().await,
            };
        }
        match secret {
            GOOD => Ok(Grant {
                token: 1,
                description: "ann".to_owned(),
                scope: Scope::Read,
                prefix: "team".to_owned(),
            }),
            EXPIRED => Err(NoGrant::Expired("access token 2 (\"bob\")".to_owned())),
            _ => Err(NoGrant::Unknown),
        }
    }
}

fn gate(reaches_others: bool, takes_plain: bool) -> Gate {
    Gate::tokens(Arc::new(Known { reaches_others }), takes_plain)
}

fn came(from: &str, by_tls: bool) -> Came {
    Came { from: from.parse().unwrap(), by_tls }
}

const HERE: &str = "127.0.0.1:5000";
const ELSEWHERE: &str = "10.0.0.7:5000";

/// As a browser sends it.
fn basic(secret: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = format!("Basic {}", STANDARD.encode(format!("anyone:{secret}")));
    headers.insert(AUTHORIZATION, HeaderValue::try_from(value).unwrap());
    headers
}

async fn asked(gate: &Gate, headers: &HeaderMap, came: Came) -> Result<Viewer, Refused> {
    gate.admit(&Uri::from_static("/status"), headers, came).await
}

#[tokio::test]
async fn a_good_token_is_let_in_with_its_prefix_and_everybody_else_is_told_what_is_missing() {
    let gate = gate(true, false);
    let here = came(HERE, false);
    let let_in = asked(&gate, &basic(GOOD), here).await;
    assert_eq!(let_in, Ok(Viewer { prefix: "team".to_owned() }));
    let mut bearer = HeaderMap::new();
    bearer.insert(AUTHORIZATION, HeaderValue::from_static("Bearer gst_good"));
    assert_eq!(asked(&gate, &bearer, here).await, let_in);
    for (headers, words) in [
        (HeaderMap::new(), "an access token is needed here"),
        (basic(""), "an access token is needed here"),
        (basic("gst_wrong"), "is not known"),
        (basic(EXPIRED), "access token 2 (\"bob\") has expired"),
    ] {
        let Err(Refused::Unauthorized(reason)) = asked(&gate, &headers, here).await else {
            panic!("{words}")
        };
        assert!(reason.contains(words) && !reason.contains("gst_"), "{reason}");
    }
    let refused = gate
        .admit(
            &format!("/status?token=gst_{}", "0".repeat(64)).parse().unwrap(),
            &basic(GOOD),
            here,
        )
        .await;
    assert_eq!(refused, Err(Refused::SecretInUrl));
    assert_eq!(asked(&Gate::Open, &HeaderMap::new(), here).await, Ok(Viewer::default()));
    let shut = asked(&Gate::Shut, &basic(GOOD), here).await;
    assert!(matches!(shut, Err(Refused::Unavailable(_))), "{shut:?}");
}

#[tokio::test]
async fn a_token_comes_in_plain_text_from_this_machine_alone_unless_the_operator_has_said_so() {
    for (from, by_tls, takes_plain, is_let_in) in [
        (HERE, false, false, true),
        ("[::1]:5000", false, false, true),
        ("[::ffff:127.0.0.1]:5000", false, false, true),
        (ELSEWHERE, true, false, true),
        (ELSEWHERE, false, true, true),
        (ELSEWHERE, false, false, false),
        ("[2001:db8::1]:5000", false, false, false),
    ] {
        let gate = gate(true, takes_plain);
        let said = asked(&gate, &basic(GOOD), came(from, by_tls)).await;
        assert_eq!(said.is_ok(), is_let_in, "{from} {by_tls} {takes_plain}: {said:?}");
        // Nor is anybody asked for one there.
        let unasked = asked(&gate, &HeaderMap::new(), came(from, by_tls)).await;
        assert_eq!(matches!(unasked, Err(Refused::Unauthorized(_))), is_let_in, "{unasked:?}");
    }
}

#[tokio::test]
async fn a_node_without_a_majority_lets_in_whom_it_knew_and_nobody_else() {
    let gate = gate(false, false);
    let here = came(HERE, false);
    assert!(asked(&gate, &basic(GOOD), here).await.is_ok());
    for secret in [EXPIRED, "gst_new"] {
        let refused = asked(&gate, &basic(secret), here).await;
        assert_eq!(refused, Err(Refused::Unavailable("no majority".to_owned())), "{secret}");
    }
}
