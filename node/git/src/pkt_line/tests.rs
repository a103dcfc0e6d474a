//! Packets of every kind, in parts of any size, whole and damaged.

use proptest::prelude::*;

use super::*;

/// All packets of these bytes, and whether they end with one.
fn decode(parts: &[&[u8]]) -> Result<Vec<Packet>, PacketError> {
    let (mut decoder, mut found) = (Decoder::new(), Vec::new());
    for part in parts {
        decoder.feed(part);
        while let Some(packet) = decoder.next_packet()? {
            found.push(packet);
        }
    }
    decoder.finish()?;
    Ok(found)
}

fn data(bytes: &[u8]) -> Packet {
    Packet::Data(Bytes::copy_from_slice(bytes))
}

#[test]
fn packets_are_read_as_git_writes_them() {
    let read = decode(&[b"0006a\n00000001000200040005b000Ahello\n"]).unwrap();
    let expected = [
        data(b"a\n"),
        Packet::Flush,
        Packet::Delimiter,
        Packet::ResponseEnd,
        data(b""),
        data(b"b"),
        data(b"hello\n"),
    ];
    assert_eq!(read, expected);
    assert_eq!(Packet::line(b"a\n\n"), b"a\n");
    assert_eq!(Packet::line(b"a"), b"a");
}

#[test]
fn lengths_that_no_packet_has_are_refused_in_gits_words() {
    let cases: &[(&[u8], &str)] = &[
        (b"0003", "protocol error: bad line length 3"),
        (b"fff1", "protocol error: bad line length 65521"),
        (b"00g0", "protocol error: bad line length character: \"00g0\""),
        (b"+00f", "protocol error: bad line length character: \"+00f\""),
        (b"PACK", "protocol error: bad line length character: \"PACK\""),
    ];
    for (bytes, reason) in cases {
        assert_eq!(&decode(&[bytes]).unwrap_err().to_string(), reason);
    }
    let largest = [b"fff0", vec![b'x'; PACKET_DATA_BYTES_MAX].as_slice()].concat();
    assert_eq!(decode(&[&largest]).unwrap().len(), 1);
}

#[test]
fn bytes_that_end_within_a_packet_are_not_taken_for_fewer_packets() {
    let missing = |bytes: &[u8]| decode(&[bytes]).unwrap_err();
    assert_eq!(missing(b"00000006a"), PacketError::Truncated { missing: 1 });
    assert_eq!(missing(b"000"), PacketError::Truncated { missing: 1 });
    assert_eq!(missing(b"0006"), PacketError::Truncated { missing: 2 });
}

#[test]
fn what_follows_the_last_packet_is_handed_over() {
    let mut decoder = Decoder::new();
    decoder.feed(b"0000PACK\0");
    assert_eq!(decoder.next_packet(), Ok(Some(Packet::Flush)));
    assert_eq!(decoder.into_rest(), &b"PACK\0"[..]);
}

#[test]
fn bands_are_split_at_what_one_packet_carries() {
    for (side_band, largest) in [(SideBand::Small, 995), (SideBand::Large, 65_515)] {
        let mut packets = Packets::new();
        packets.band(side_band, Band::Data, &vec![b'x'; 2 * largest + 1]);
        packets.band(side_band, Band::Error, b"no");
        let read = decode(&[&packets.take()]).unwrap();
        let lengths = read.iter().map(|packet| match packet {
            Packet::Data(data) => (data[0], data.len() - 1),
            mark => panic!("{mark:?}"),
        });
        let expected = [(1, largest), (1, largest), (1, 1), (3, 2)];
        assert_eq!(lengths.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_line_that_is_too_long_is_cut_between_characters() {
    let mut packets = Packets::new();
    packets.error(&"ä".repeat(PACKET_BYTES_MAX));
    let [Packet::Data(line)] = &decode(&[&packets.take()]).unwrap()[..] else {
        panic!("one packet expected")
    };
    assert!((PACKET_DATA_BYTES_MAX - 1..=PACKET_DATA_BYTES_MAX).contains(&line.len()));
    assert!(std::str::from_utf8(line).unwrap().ends_with("ä\n"));
}

fn packet() -> impl Strategy<Value = Packet> {
    prop_oneof![
        Just(Packet::Flush),
        Just(Packet::Delimiter),
        proptest::collection::vec(any::<u8>(), 0..300).prop_map(|bytes| data(&bytes)),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_whatever_the_parts(
        written in proptest::collection::vec(packet(), 0..20),
        part in 1..40usize,
    ) {
        let mut packets = Packets::new();
        for packet in &written {
            match packet {
                Packet::Data(data) => packets.data(data),
                Packet::Delimiter => packets.delimiter(),
                _ => packets.flush(),
            };
        }
        let bytes = packets.take();
        prop_assert_eq!(decode(&bytes.chunks(part).collect::<Vec<_>>()), Ok(written));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&[&bytes]);
    }

    #[test]
    fn bytes_much_like_packets_are_read_or_refused(bytes in "[0-9a-fA-F \n]{0,60}") {
        let _ = decode(&[bytes.as_bytes()]);
    }
}
