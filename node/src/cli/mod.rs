//! The command line: what can be asked for, and the one place where errors become exit
//! codes. Each command's work is in a file of its own, or in the library.

mod agreed;
mod arguments;
mod backup;
mod catalog;
mod cert;
mod destination;
mod dev;
mod help;
mod init;
mod jobs;
mod join;
mod layout;
mod logging;
mod members;
mod mirror;
mod nodes;
mod objects;
mod output;
mod pages;
mod progress;
mod recover;
mod reload;
mod repositories;
mod secured;
mod serve;
mod settle;
mod snapshot;
mod status;
mod store;
mod vicinity;

use std::error::Error;
use std::fmt;
use std::io::Write as _;

use clap::FromArgMatches as _;
use gitstratum_cluster::client::{Client, ClientOptions, ConnectError};
use gitstratum_cluster::quorum::Consistency;
use gitstratum_cluster::wire::status::chain;
use gitstratum_core::config_text::ConfigError;
use gitstratum_core::job::JobKind;
use gitstratum_core::limits;
use gitstratum_host::Net;
use gitstratum_host::signal::Terminations;
use rand::TryRngCore;
use rand::rngs::OsRng;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use arguments::{ClientArguments, Command};
use output::{note, show};

pub use arguments::Arguments;
pub use logging::{Levels, start_logging};

/// Why the program ends with another code than 0.
#[derive(Debug)]
pub enum Failure {
    /// Wrong usage or configuration: exit code 2.
    Usage(String),
    /// The operation failed: exit code 1.
    Operation(String),
    /// Whoever read standard output went away: exit code 1, and nothing to say.
    NoReader,
}

impl Failure {
    /// The process' exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Operation(_) | Failure::NoReader => 1,
            Failure::Usage(_) => 2,
        }
    }

    fn operation(doing: impl fmt::Display) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Failure::Operation(format!("{doing}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(reason) | Failure::Operation(reason) => f.write_str(reason),
            Failure::NoReader => f.write_str("nobody reads standard output any more"),
        }
    }
}

/// Any error of the library, with its causes in one line.
impl<E: Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Operation(chain(&error))
    }
}

fn wrong_configuration(error: ConfigError) -> Failure {
    Failure::Usage(chain(&error))
}

/// Reads the command line. What is wrong with it, or the help that it asks for, is printed.
///
/// # Errors
/// The code to exit with, when there is nothing to run.
pub fn parse() -> Result<Arguments, u8> {
    let mut command = help::command();
    let matches = command.try_get_matches_from_mut(std::env::args_os());
    let parsed = matches.and_then(|matches| Arguments::from_arg_matches(&matches));
    parsed.map_err(|error| {
        let printed = error.print().and_then(|()| std::io::stdout().flush());
        match (printed.map_err(output::unwritten), error.exit_code()) {
            (Err(failure), 0) => exit_code(Err(failure)),
            // clap has 0, for help, and 2, the code of wrong usage.
            (_, 0) => 0,
            _ => Failure::Usage(String::new()).exit_code(),
        }
    })
}

/// Says why a command failed, where there is anybody to tell, and with which code to exit.
pub fn exit_code(done: Result<(), Failure>) -> u8 {
    let Err(failure) = done else { return 0 };
    if !matches!(failure, Failure::NoReader) {
        note(format_args!("gitstratum: {failure}"));
    }
    failure.exit_code()
}

/// Does what the arguments say. A node's configuration may change the levels of its log.
///
/// # Errors
/// [`Failure`], with the exit code that the contract gives it.
pub fn run(arguments: Arguments, levels: Levels) -> Result<(), Failure> {
    match arguments.command {
        Command::CheckConfig { file } => return serve::check_config(&file),
        Command::Pages { directory } => return pages::write(&directory),
        Command::Cert(asked) => return cert::cert(asked),
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::operation("start the runtime"))?;
    let serving = matches!(arguments.command, Command::Serve(_));
    let done = runtime.block_on(async {
        match arguments.command {
            Command::CheckConfig { .. } | Command::Pages { .. } | Command::Cert(_) => {
                unreachable!("answered above")
            }
            Command::Serve(asked) => serve::serve(asked, levels).await,
            Command::Join(asked) => join::join(asked).await,
            Command::Init(asked) => init::init(asked).await,
            Command::Dev(asked) => dev::dev(asked).await,
            Command::Repo(asked) => catalog::repo(asked).await,
            Command::Node(asked) => members::node(asked).await,
            Command::Events(asked) => catalog::events(asked).await,
            Command::Token(asked) => catalog::token(asked).await,
            Command::Catalog(asked) => catalog::text(asked).await,
            Command::Recover(asked) => recover::recover(asked).await,
            Command::Put(asked) => objects::put(asked).await,
            Command::Get(asked) => objects::get(asked).await,
            Command::Has(asked) => objects::has(asked).await,
            Command::Import(asked) => repositories::import(asked).await,
            Command::Export(asked) => repositories::export(asked).await,
            Command::Mirror(asked) => mirror::mirror(asked).await,
            Command::Status(asked) => status::status(asked).await,
            Command::Layout(asked) => layout::layout(asked).await,
            Command::Repair(asked) => jobs::job(JobKind::Repair, asked).await,
            Command::Scrub(asked) => jobs::job(JobKind::Scrub, asked).await,
            Command::Snapshot(asked) => snapshot::snapshot(asked).await,
            Command::Backup(asked) => backup::backup(asked).await,
            Command::Restore(asked) => backup::restore(asked).await,
            Command::Store(asked) => store::store(asked).await,
        }
    });
    if serving {
        // A node that stopped has closed its store; what may be left is the thread that
        // reads standard input, which would keep the process for as long as that is open.
        runtime.shutdown_background();
    }
    // Otherwise what blocks is awaited: an export that was interrupted completes its pack.
    done
}

/// A generator seeded by the operating system: here is the top from which randomness is
/// handed down.
fn seeded_by_the_system() -> Result<ChaCha12Rng, Failure> {
    let mut seed = [0; 32];
    OsRng.try_fill_bytes(&mut seed).map_err(|error| Failure::Operation(error.to_string()))?;
    Ok(ChaCha12Rng::from_seed(seed))
}

async fn connect(arguments: &ClientArguments) -> Result<Client, Failure> {
    connect_with(arguments, ClientOptions::default()).await
}

/// The same, for puts that return when so many replicas have acknowledged.
async fn connect_for_puts(
    arguments: &ClientArguments,
    consistency: arguments::Consistency,
) -> Result<Client, Failure> {
    let consistency = match consistency {
        arguments::Consistency::One => Consistency::One,
        arguments::Consistency::Quorum => Consistency::Quorum,
        arguments::Consistency::All => Consistency::All,
    };
    connect_with(arguments, ClientOptions { consistency, ..ClientOptions::default() }).await
}

/// The same, to ask nodes how they are.
async fn connect_for_status(arguments: &ClientArguments) -> Result<Client, Failure> {
    let request_timeout = limits::STATUS_TIMEOUT;
    connect_with(arguments, ClientOptions { request_timeout, ..ClientOptions::default() }).await
}

/// The same, with what the arguments leave to these options.
async fn connect_with(
    arguments: &ClientArguments,
    options: ClientOptions,
) -> Result<Client, Failure> {
    let (security, bearer) = arguments.credentials().await?;
    connect_secured(arguments, ClientOptions { security, bearer, ..options }).await
}

/// The same, for a node that is about to be one: it shows its certificate, and no token.
async fn connect_as_node(arguments: &ClientArguments) -> Result<Client, Failure> {
    let security = arguments.tls.security(false).await?;
    connect_secured(arguments, ClientOptions { security, ..ClientOptions::default() }).await
}

async fn connect_secured(
    arguments: &ClientArguments,
    options: ClientOptions,
) -> Result<Client, Failure> {
    let request_timeout = arguments.timeout_or(options.request_timeout);
    let options = ClientOptions { request_timeout, zone: arguments.zone.clone(), ..options };
    let rng = seeded_by_the_system()?;
    let connected = Client::connect(Net::new(), &arguments.peers, rng, options).await;
    connected.map_err(|error| match error {
        ConnectError::Peers(_) | ConnectError::TwoClusters { .. } => {
            Failure::Usage(format!("--{error}"))
        }
        ConnectError::NoPeer(_) => Failure::from(error),
    })
}

/// Waits for `work`, or for the operator's word to stop, which is a failure that says how
/// to go on.
async fn interruptible<T>(
    how_to_go_on: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut requests = Terminations::watch();
    tokio::select! {
        biased;
        () = requests.next() => {
            Err(Failure::Operation(format!("interrupted; {how_to_go_on}")))
        }
        done = work => done,
    }
}
