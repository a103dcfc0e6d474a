//! Inflating of pack entries, whose end only their own zlib data tells.

use flate2::{Decompress, FlushDecompress, Status};

/// Room that is made at first for what is inflated, and for what is inflated and not held: what a
/// header says is believed only so far.
const ROOM_BYTES: usize = 64 << 10;

/// Why an entry's data is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InflateError {
    /// It is no zlib data. What zlib says of that depends on how the input was cut.
    Corrupt,
    /// It goes on after as many bytes as it should have.
    TooLong,
}

/// How far a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inflated {
    /// Bytes of the input that belong to the entry.
    pub(crate) consumed: usize,
    /// The entry has ended.
    pub(crate) finished: bool,
}

/// Inflates one entry after another.
pub(crate) struct Inflater {
    state: Decompress,
    room: Vec<u8>,
}

/// What one call of zlib did.
struct Turn {
    consumed: usize,
    produced: usize,
    finished: bool,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Inflater { state: Decompress::new(true), room: Vec::new() }
    }

    /// Begins with the next entry.
    pub(crate) fn begin(&mut self) {
        self.state.reset(true);
    }

    /// Inflates to the end of `out`, which is to have `size` bytes at the end.
    pub(crate) fn hold(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        size: u64,
    ) -> Result<Inflated, InflateError> {
        let mut consumed = 0;
        loop {
            let lacking = usize::try_from(size - out.len() as u64).unwrap_or(usize::MAX);
            let turn = if lacking == 0 {
                self.turn(&input[consumed..], Room::Slice(&mut [0]))?
            } else {
                if out.len() == out.capacity() {
                    out.reserve_exact(lacking.min(out.len().max(ROOM_BYTES)));
                }
                self.turn(&input[consumed..], Room::Spare(out))?
            };
            consumed += turn.consumed;
            if out.len() as u64 > size || lacking == 0 && turn.produced > 0 {
                return Err(InflateError::TooLong);
            }
            if let Some(inflated) = self.ended(&turn, consumed, input)? {
                return Ok(inflated);
            }
        }
    }

    /// Inflates and gives what comes to `sink`. `produced` counts, up to `size`.
    pub(crate) fn stream(
        &mut self,
        input: &[u8],
        produced: &mut u64,
        size: u64,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<Inflated, InflateError> {
        let mut consumed = 0;
        loop {
            // Room for one byte too many, so that it is always seen at the same place.
            let lacking = usize::try_from(size - *produced).unwrap_or(usize::MAX);
            let mut room = std::mem::take(&mut self.room);
            room.resize(ROOM_BYTES, 0);
            let part = &mut room[..lacking.saturating_add(1).min(ROOM_BYTES)];
            let turn = self.turn(&input[consumed..], Room::Slice(part));
            let turn = turn.inspect(|turn| sink(&room[..turn.produced]));
            self.room = room;
            let turn = turn?;
            consumed += turn.consumed;
            *produced += turn.produced as u64;
            if *produced > size {
                return Err(InflateError::TooLong);
            }
            if let Some(inflated) = self.ended(&turn, consumed, input)? {
                return Ok(inflated);
            }
        }
    }

    fn turn(&mut self, input: &[u8], room: Room<'_>) -> Result<Turn, InflateError> {
        let (read, written) = (self.state.total_in(), self.state.total_out());
        let status = match room {
            Room::Spare(out) => self.state.decompress_vec(input, out, FlushDecompress::None),
            Room::Slice(out) => self.state.decompress(input, out, FlushDecompress::None),
        };
        let status = status.map_err(|_| InflateError::Corrupt)?;
        Ok(Turn {
            consumed: (self.state.total_in() - read) as usize,
            produced: (self.state.total_out() - written) as usize,
            finished: status == Status::StreamEnd,
        })
    }

    /// zlib may hold back output although it has taken all input, so only a turn in which nothing
    /// happens says that it waits for more.
    fn ended(
        &self,
        turn: &Turn,
        consumed: usize,
        input: &[u8],
    ) -> Result<Option<Inflated>, InflateError> {
        if turn.finished {
            return Ok(Some(Inflated { consumed, finished: true }));
        }
        if turn.consumed > 0 || turn.produced > 0 {
            return Ok(None);
        }
        if consumed < input.len() {
            return Err(InflateError::Corrupt);
        }
        Ok(Some(Inflated { consumed, finished: false }))
    }
}

/// Where output goes.
enum Room<'a> {
    /// To the end of this, as far as it has room.
    Spare(&'a mut Vec<u8>),
    Slice(&'a mut [u8]),
}
