//! The command line: what can be asked for, and the one place where errors become exit
//! codes. Each command's work is in a file of its own, or in the library.

mod arguments;
mod dev;
mod layout;
mod nodes;
mod objects;
mod progress;
mod repair;
mod repositories;
mod scrub;
mod serve;
mod snapshot;
mod status;
mod store;

use std::error::Error;
use std::fmt;
use std::io::Write as _;

pub use arguments::Arguments;
use arguments::{ClientArguments, Command, LogFormat};
use gitstratum_host::Net;
use rand::TryRngCore;
use rand::rngs::OsRng;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::client::{Client, ClientOptions, ConnectError};
use crate::config::ConfigError;
use crate::limits;
use crate::quorum::Consistency;
use crate::wire::status::chain;

/// Why the program ends with another code than 0.
#[derive(Debug)]
pub enum Failure {
    /// Wrong usage or configuration: exit code 2.
    Usage(String),
    /// The operation failed: exit code 1.
    Operation(String),
}

impl Failure {
    /// The process' exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Operation(_) => 1,
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

/// Sends the log to standard error in the form and at the level asked for.
pub fn start_logging(arguments: &Arguments) {
    let filter = tracing_subscriber::EnvFilter::try_new(&arguments.log_level)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match arguments.log_format {
        LogFormat::Human => log.init(),
        LogFormat::Json => log.json().init(),
    }
}

/// Does what the arguments say.
///
/// # Errors
/// [`Failure`], with the exit code that the contract gives it.
pub fn run(arguments: Arguments) -> Result<(), Failure> {
    if let Command::CheckConfig { file } = &arguments.command {
        return serve::check_config(file);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::operation("start the runtime"))?;
    let serving = matches!(arguments.command, Command::Serve(_));
    let done = runtime.block_on(async {
        match arguments.command {
            Command::CheckConfig { .. } => unreachable!("answered above"),
            Command::Serve(asked) => serve::serve(asked).await,
            Command::Dev(asked) => dev::dev(asked).await,
            Command::Put(asked) => objects::put(asked).await,
            Command::Get(asked) => objects::get(asked).await,
            Command::Has(asked) => objects::has(asked).await,
            Command::Import(asked) => repositories::import(asked).await,
            Command::Export(asked) => repositories::export(asked).await,
            Command::Status(asked) => status::status(asked).await,
            Command::Layout(asked) => layout::layout(asked).await,
            Command::Repair(asked) => repair::repair(asked).await,
            Command::Scrub(asked) => scrub::scrub(asked).await,
            Command::Snapshot(asked) => snapshot::snapshot(asked).await,
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

/// Prints all of it, unless whoever reads it has seen enough.
fn show(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::operation("write to standard output")(error))
        }
        _ => Ok(()),
    }
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
    tokio::select! {
        biased;
        () = gitstratum_host::signal::termination() => {
            Err(Failure::Operation(format!("interrupted; {how_to_go_on}")))
        }
        done = work => done,
    }
}
