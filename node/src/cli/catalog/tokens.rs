//! `token`.

use comfy_table::{Table, presets};
use gitstratum_catalog::command::CreateToken;
use gitstratum_catalog::entity::{Access, Token};
use gitstratum_catalog::ids::TokenId;
use gitstratum_catalog::secret::{SECRET_BYTES, Secret};
use gitstratum_catalog::{Answer, Operation, Outcome, Query};
use gitstratum_host::unix_time_ms;
use rand_chacha::rand_core::RngCore;
use serde::Serialize;

use super::super::arguments::{Scope, TokenCommand, TokenCreate};
use super::super::{Failure, note, seeded_by_the_system, show};
use super::{ask, call, catalog, line, other, utc};
use crate::catalog::CatalogClient;

/// Does what `token` says.
pub(crate) async fn token(asked: TokenCommand) -> Result<(), Failure> {
    match asked {
        TokenCommand::Create(asked) => create(asked).await,
        TokenCommand::List { json, client } => {
            let catalog = catalog(&client).await?;
            let Answer::Tokens(tokens) = ask(&catalog, &Query::Tokens).await? else {
                return other();
            };
            list(&tokens, json)
        }
        TokenCommand::Revoke { id, client } => {
            let mut catalog = catalog(&client).await?;
            let revoke = Operation::RevokeToken { token: TokenId(id) };
            call(&mut catalog, revoke).await.map(drop)
        }
    }
}

async fn create(asked: TokenCreate) -> Result<(), Failure> {
    let mut catalog = catalog(&asked.client).await?;
    let lifetime = asked.lifetime().map(|lifetime| lifetime.as_millis() as u64);
    let access = match asked.scope {
        Scope::Read => Access::Read,
        Scope::Write => Access::Write,
        Scope::Admin => Access::Admin,
    };
    let expires_at_ms = lifetime.map(|lifetime| unix_time_ms() + lifetime);
    let wanted = Token {
        description: asked.description,
        access,
        prefix: asked.prefix,
        created_at_ms: 0,
        expires_at_ms,
    };
    let (token, secret) = create_token(&mut catalog, wanted).await?;
    note(format_args!("token {token}: keep its secret, it is not shown again"));
    show(&format!("{}\n", secret.expose()))
}

/// Makes a token that allows what is wanted, with a secret that nobody else knows.
pub(crate) async fn create_token(
    catalog: &mut CatalogClient,
    wanted: Token,
) -> Result<(TokenId, Secret), Failure> {
    let mut drawn = [0; SECRET_BYTES];
    seeded_by_the_system()?.fill_bytes(&mut drawn);
    let secret = Secret::of(drawn);
    let Token { description, access, prefix, expires_at_ms, .. } = wanted;
    let create = CreateToken { hash: secret.hash(), description, access, prefix, expires_at_ms };
    match call(catalog, Operation::CreateToken(create)).await? {
        Outcome::TokenCreated { token } => Ok((token, secret)),
        _ => other(),
    }
}

fn list(tokens: &[(TokenId, Token)], json: bool) -> Result<(), Failure> {
    #[derive(Serialize)]
    struct Line<'a> {
        id: u64,
        #[serde(flatten)]
        token: &'a Token,
    }
    if json {
        let lines: Result<String, _> =
            tokens.iter().map(|(id, token)| line(&Line { id: id.0, token })).collect();
        return show(&lines?);
    }
    let mut table = Table::new();
    let header = ["id", "allows", "in", "expires", "description"];
    table.load_preset(presets::NOTHING).set_header(header);
    for (id, token) in tokens {
        let scope = match token.access {
            Access::Read => "read",
            Access::Write => "write",
            Access::Admin => "admin",
        };
        let prefix = if token.prefix.is_empty() { "all" } else { &token.prefix };
        let expires = token.expires_at_ms.map_or_else(|| "never".to_owned(), utc);
        table.add_row([&id.to_string(), scope, prefix, &expires, &token.description]);
    }
    show(&format!("{}\n", table.trim_fmt()))
}
