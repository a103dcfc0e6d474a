//! Field counter of Protocol Buffers.
//!
//! Counts the fields of a message as its bytes come, so that one of too many is refused before it
//! is decoded: two bytes of a repeated field become a hundred in memory.
//!
//! Only what counts is looked at. What else is malformed is for the decoder to refuse.

/// Which fields of a message are messages to be counted, too.
#[derive(Debug)]
pub(super) struct Shape(&'static [(u64, &'static Shape)]);

/// A message whose fields hold no repeated ones.
pub(super) static FLAT: Shape = Shape(&[]);
/// An `ApplyLayoutRequest`: its layout, and those before it.
pub(super) static APPLY_LAYOUT: Shape = Shape(&[(1, &LAYOUT)]);
static LAYOUT: Shape = Shape(&[(7, &LAYOUT)]);

/// Messages in messages that are looked into.
const DEPTH_MAX: usize = 4;

/// Where the counter is in a message.
#[derive(Debug)]
pub(super) struct Fields {
    shapes: [&'static Shape; DEPTH_MAX],
    /// Bytes that each message looked into still has; the outermost has no end of its own.
    left: [u64; DEPTH_MAX],
    depth: usize,
    state: State,
    /// The number that is being read.
    varint: u64,
    shift: u32,
    count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Tag,
    Value,
    Length {
        field: u64,
    },
    Skip(u64),
    /// Something that is no field of ours: a group, or garbage.
    Broken,
}

impl Fields {
    /// Before the first byte of a message.
    pub(super) fn of(shape: &'static Shape) -> Self {
        Fields {
            shapes: [shape; DEPTH_MAX],
            left: [u64::MAX; DEPTH_MAX],
            depth: 0,
            state: State::Tag,
            varint: 0,
            shift: 0,
            count: 0,
        }
    }

    /// Reads the next bytes of the message; gives the fields so far, or `None` where something is no
    /// field that a message of ours may have.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> Option<usize> {
        while !bytes.is_empty() && self.state != State::Broken {
            if let State::Skip(left) = self.state {
                let skipped =
                    usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
                bytes = &bytes[skipped..];
                self.pass(skipped as u64);
                self.state = match left - skipped as u64 {
                    0 => State::Tag,
                    left => State::Skip(left),
                };
                continue;
            }
            let byte = bytes[0];
            bytes = &bytes[1..];
            self.pass(1);
            self.varint |= u64::from(byte & 0x7f).checked_shl(self.shift).unwrap_or(0);
            self.shift += 7;
            if byte & 0x80 != 0 {
                if self.shift >= 70 {
                    self.state = State::Broken;
                }
                continue;
            }
            let number = std::mem::take(&mut self.varint);
            self.shift = 0;
            self.state = self.after(number);
        }
        (self.state != State::Broken).then_some(self.count)
    }

    /// What follows a number.
    fn after(&mut self, number: u64) -> State {
        match self.state {
            State::Tag => {
                self.count += 1;
                match number & 7 {
                    0 => State::Value,
                    1 => State::Skip(8),
                    2 => State::Length { field: number >> 3 },
                    5 => State::Skip(4),
                    _ => State::Broken,
                }
            }
            State::Length { field } => {
                let shape = self.shapes[self.depth].0.iter().find(|(known, _)| *known == field);
                match shape {
                    _ if number == 0 => State::Tag,
                    Some(_) if self.depth + 1 == DEPTH_MAX => State::Broken,
                    Some((_, shape)) => {
                        self.depth += 1;
                        self.shapes[self.depth] = shape;
                        self.left[self.depth] = number;
                        State::Tag
                    }
                    None => State::Skip(number),
                }
            }
            _ => State::Tag,
        }
    }

    /// So many bytes belong to all messages that are looked into; those that end are left.
    fn pass(&mut self, bytes: u64) {
        for left in &mut self.left[1..=self.depth] {
            *left = left.saturating_sub(bytes);
        }
        while self.depth > 0 && self.left[self.depth] == 0 {
            self.depth -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use gitstratum_proto::v1;
    use prost::Message;

    use super::*;

    /// The fields of a message, however its bytes come.
    fn count(shape: &'static Shape, message: &[u8]) -> Option<usize> {
        let at_once = Fields::of(shape).read(message);
        let mut fields = Fields::of(shape);
        message.iter().for_each(|byte| _ = fields.read(&[*byte]));
        assert_eq!(fields.read(&[]), at_once);
        at_once
    }

    #[test]
    fn elements_are_counted_and_what_they_hold_is_not() {
        let objects = (0..7).map(|number| v1::Object {
            id: vec![number; 20].into(),
            kind: v1::Kind::Blob.into(),
            data: vec![0x0a; 1000 * usize::from(number)].into(),
        });
        let batch = v1::PutBatchRequest { objects: objects.collect() };
        assert_eq!(count(&FLAT, &batch.encode_to_vec()), Some(7));
        assert_eq!(count(&FLAT, &[0x0a, 0].repeat(5000)), Some(5000), "empty ones too");
        let compared = v1::CompareRequest {
            caller: "n1".into(),
            layout_version: u64::MAX,
            key_low: 1,
            items: vec![v1::CompareItem { first: 1, last: 2, stated: None }; 3],
            ..Default::default()
        };
        assert_eq!(count(&FLAT, &compared.encode_to_vec()), Some(6));
    }

    #[test]
    fn members_of_layouts_before_a_layout_are_counted_with_its_own() {
        let member = v1::Member { node_id: "n".repeat(100), ..Default::default() };
        let layout = |members, previous| v1::Layout {
            version: 300,
            members: vec![member.clone(); members],
            previous,
            ..Default::default()
        };
        let before = vec![layout(4, Vec::new()), layout(5, Vec::new())];
        let request = v1::ApplyLayoutRequest { layout: Some(layout(3, before)) };
        // Each layout has a version beside, and is a field itself.
        assert_eq!(count(&APPLY_LAYOUT, &request.encode_to_vec()), Some(3 + 4 + 5 + 3 + 3));
        let deep = layout(1, vec![layout(1, vec![layout(1, vec![layout(1, Vec::new())])])]);
        let request = v1::ApplyLayoutRequest { layout: Some(deep) };
        assert_eq!(count(&APPLY_LAYOUT, &request.encode_to_vec()), None, "nobody counts those");
    }

    #[test]
    fn what_is_no_field_is_said_to_be_none() {
        let group = [&[0x7b, 0x7c][..], &[0x0a, 0].repeat(5000)].concat();
        for garbage in [&[0xff; 64][..], &group, &[0x07; 3]] {
            assert_eq!(count(&APPLY_LAYOUT, garbage), None);
        }
    }
}
