//! Access tokens.

use crate::Outcome;
use crate::command::{CreateToken, Operation};
use crate::entity::Access;
use crate::fixture::*;
use crate::ids::{TokenHash, TokenId};
use crate::names::RepositoryName;

fn token(hash: u8, prefix: &str, expires_at_ms: Option<u64>) -> Operation {
    Operation::CreateToken(CreateToken {
        hash: TokenHash([hash; 32]),
        description: "ci".to_owned(),
        access: Access::Write,
        prefix: prefix.to_owned(),
        expires_at_ms,
    })
}

#[test]
fn a_token_allows_what_it_says_where_it_says_until_it_ends() {
    let mut machine = Machine::new();
    machine.done(token(1, "team", Some(5_000)));
    let (id, held) = machine.state.token_with_hash(&TokenHash([1; 32])).unwrap();
    assert_eq!(id, TokenId(1));
    let name = |text| RepositoryName::parse(text).unwrap();
    for (access, repository, now_ms, allowed) in [
        (Access::Read, "team/x", 0, true),
        (Access::Write, "team", 4_999, true),
        (Access::Write, "team/x", 5_000, false),
        (Access::Admin, "team/x", 0, false),
        (Access::Read, "teams", 0, false),
    ] {
        assert_eq!(held.allows(access, &name(repository), now_ms), allowed, "{repository}");
    }
    machine.done(Operation::RevokeToken { token: id });
    assert_eq!(machine.state.token_with_hash(&TokenHash([1; 32])), None);
    assert_eq!(machine.refused(Operation::RevokeToken { token: id }), "there is no token 1");
    assert_eq!(machine.done(token(1, "", None)), Outcome::TokenCreated { token: TokenId(2) });
}

#[test]
fn a_token_that_cannot_be_is_refused() {
    let mut machine = Machine::new();
    machine.done(token(1, "", None));
    assert_eq!(
        machine.refused(token(1, "", None)),
        "the secret is that of token 1: draw another one"
    );
    assert_eq!(
        machine.refused(token(2, "", Some(1_000))),
        "the token would expire at 1000, and it is 1000"
    );
    assert!(machine.refused(token(2, "a//b", None)).contains("it has an empty part"));
}
