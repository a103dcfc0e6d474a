//! pkt-line framing: lines with their length before them, as Git's protocol has them.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// `0000`.
    Flush,
    /// `0001`.
    Delimiter,
    /// Anything else, without a line feed at its end.
    Line(&'a [u8]),
}

/// Appends a line.
pub(super) fn line(out: &mut Vec<u8>, text: impl AsRef<[u8]>) {
    let text = text.as_ref();
    out.extend_from_slice(format!("{:04x}", text.len() + 4).as_bytes());
    out.extend_from_slice(text);
}

/// Appends the end of a list.
pub(super) fn flush(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0000");
}

/// Appends what stands between a command of version 2 and its arguments.
pub(super) fn delimiter(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0001");
}

/// Reads one after another.
pub(super) struct Packets<'a>(pub(super) &'a [u8]);

impl<'a> Packets<'a> {
    /// The next, its line feed included; nothing at the end.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub(super) fn next_raw(&mut self) -> Result<Option<Packet<'a>>, String> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let digits = self.0.get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
        let length = digits.and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let length = length.ok_or_else(|| "the length of a pkt-line is no number".to_owned())?;
        let end = length.max(4);
        let (packet, rest) = self
            .0
            .split_at_checked(end)
            .ok_or_else(|| format!("a pkt-line of {length} bytes is cut off"))?;
        self.0 = rest;
        match length {
            0 => Ok(Some(Packet::Flush)),
            1 => Ok(Some(Packet::Delimiter)),
            2 | 3 => Err(format!("a pkt-line of length {length} has no meaning")),
            _ => Ok(Some(Packet::Line(&packet[4..]))),
        }
    }

    /// The next, without its line feed.
    ///
    /// # Errors
    /// As [`Packets::next_raw`]; and what an `ERR` line says.
    pub(super) fn next(&mut self) -> Result<Option<Packet<'a>>, String> {
        let packet = self.next_raw()?;
        let Some(Packet::Line(line)) = packet else { return Ok(packet) };
        if let Some(error) = line.strip_prefix(b"ERR ") {
            return Err(String::from_utf8_lossy(error).trim_end().to_owned());
        }
        Ok(Some(Packet::Line(line.strip_suffix(b"\n").unwrap_or(line))))
    }
}
