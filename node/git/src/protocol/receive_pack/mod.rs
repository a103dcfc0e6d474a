//! receive-pack: serving a push.
//!
//! Commands and options are read, then the repository takes the pack while it comes. The answer
//! begins when the request has ended, or is refused: what is told before that, some proxies take
//! for the end. A client that is refused while it still sends is told so and then listened to for a
//! while, because most read nothing before they have sent all.

mod body;
pub(super) mod commands;
pub(super) mod report;

use async_trait::async_trait;

use self::body::Lender;
use self::commands::Commands;
use self::report::Verdicts;
use super::error::{ProtocolError, one_line};
use super::input::Input;
use super::response::{KEEPALIVE, Response};
use crate::pkt_line::{Band, Packet, Packets, SideBand};
use crate::service::{ProgressSink, PushOutcome, PushRequest, Repository, RepositoryError};

/// Serves a push.
pub(super) async fn serve(
    repository: &dyn Repository,
    input: &mut Input,
    response: &mut Response<'_>,
) -> Result<(), ProtocolError> {
    let commands = read_commands(repository, input).await?;
    if commands.list.is_empty() {
        return Ok(());
    }
    let side_band = commands.capabilities.has("side-band-64k").then_some(SideBand::Large);
    if let Some(side_band) = side_band {
        response.begin_side_band(side_band);
    }
    commands.capabilities.log();
    commands.capabilities.check_object_format(repository.object_format())?;
    let options = match commands.capabilities.has("push-options") {
        true => commands::read_options(input).await?,
        false => Vec::new(),
    };
    let mut lender = Lender::of(input.take_rest());
    let pushed = push(repository, &commands, options, &mut lender, response, side_band).await;
    let answered = answer(&commands, pushed, response, side_band).await;
    lender.drain().await;
    answered
}

async fn read_commands(
    repository: &dyn Repository,
    input: &mut Input,
) -> Result<Commands, ProtocolError> {
    let mut commands = Commands::new(repository.object_format());
    let mut is_first = true;
    loop {
        match input.next().await? {
            Some(Packet::Data(data)) => commands.take(Packet::line(&data))?,
            Some(Packet::Flush) => return Ok(commands),
            // A body that is empty asks for nothing.
            None if is_first => return Ok(commands),
            Some(Packet::Delimiter | Packet::ResponseEnd) | None => {
                let reason = "expected flush after the commands";
                return Err(ProtocolError::Malformed(reason.into()));
            }
        }
        is_first = false;
    }
}

/// What became of the commands; of those that make sense, as the repository says.
async fn push(
    repository: &dyn Repository,
    commands: &Commands,
    options: Vec<String>,
    lender: &mut Lender,
    response: &mut Response<'_>,
    side_band: Option<SideBand>,
) -> Result<PushOutcome, RepositoryError> {
    let mut verdicts = Verdicts::check(commands);
    let asked = verdicts.sensible(commands);
    if asked.is_empty() {
        return Ok(verdicts.into_outcome());
    }
    let pack = asked.iter().any(|command| command.new.is_some()).then(|| lender.lend());
    let has_ended = lender.watch();
    let request = PushRequest {
        commands: asked,
        atomic: commands.capabilities.has("atomic"),
        options,
        client_shallow: commands.client_shallow.clone(),
    };
    let wants_progress = !commands.capabilities.has("quiet");
    let mut progress = Progress {
        side_band: side_band.filter(|_| wants_progress),
        response,
        has_ended: has_ended.clone(),
    };
    let output = progress.response.output();
    let work = repository.push(request, pack, &mut progress);
    let outcome =
        output.keep_alive(KEEPALIVE, || side_band.is_some() && has_ended.get(), work).await?;
    Ok(verdicts.join(outcome))
}

/// Tells the client what became of its push.
async fn answer(
    commands: &Commands,
    pushed: Result<PushOutcome, RepositoryError>,
    response: &mut Response<'_>,
    side_band: Option<SideBand>,
) -> Result<(), ProtocolError> {
    let mut packets = Packets::new();
    if let Some(side_band) = side_band.filter(|_| !is_done(&pushed)) {
        let request = format!("request {}\n", response.request_id());
        packets.band(side_band, Band::Progress, request.as_bytes());
    }
    if commands.reports() {
        let report = match &pushed {
            Ok(outcome) => report::write(commands, outcome),
            Err(error) => report::write(commands, &failed(commands, error)),
        };
        match side_band {
            Some(side_band) => packets.band(side_band, Band::Data, &report),
            None => packets.raw(&report),
        };
    } else if let Err(error) = pushed {
        return Err(error.into());
    }
    if side_band.is_some() {
        packets.flush();
    }
    response.send(&mut packets).await?;
    response.end_side_band();
    match pushed {
        Ok(_) => Ok(()),
        // The report has told it.
        Err(error) => Err(ProtocolError::Told(error)),
    }
}

/// Whether all of it was done.
fn is_done(pushed: &Result<PushOutcome, RepositoryError>) -> bool {
    let outcome = pushed.as_ref().ok();
    outcome.is_some_and(|it| it.unpacked.is_ok() && it.verdicts.iter().all(Result::is_ok))
}

/// The outcome of a push of which nothing is known but this.
fn failed(commands: &Commands, error: &RepositoryError) -> PushOutcome {
    let reason = one_line(&error.to_string());
    PushOutcome { verdicts: vec![Err(reason.clone()); commands.list.len()], unpacked: Err(reason) }
}

/// Shows what the repository does, once the request has ended.
struct Progress<'a, 'b> {
    side_band: Option<SideBand>,
    response: &'a mut Response<'b>,
    has_ended: body::Ended,
}

#[async_trait]
impl ProgressSink for Progress<'_, '_> {
    async fn progress(&mut self, text: &str) {
        let Some(side_band) = self.side_band.filter(|_| self.has_ended.get()) else { return };
        let mut packets = Packets::new();
        packets.band(side_band, Band::Progress, text.as_bytes());
        // A client that has gone away ends the push by itself.
        let _ = self.response.send(&mut packets).await;
    }
}
