//! Names, places and values of fields.

use crate::file::{Capture, names, unpacked};
use userland::wireshark::{Field, Kind, dissect};

/// Without characters that would end a line, and not too long: as `make.py` writes it.
fn plain(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    // What ends a line is one blank or two in a PDML file.
    let text = text.replace("  ", " ");
    let text = text.trim_end();
    match text.chars().count() {
        len @ 61.. => format!("{}.. {len}", text.chars().take(60).collect::<String>()),
        _ => text.to_owned(),
    }
}

fn line(field: &Field, frame: &[u8]) -> String {
    let value = if field.known.kind == Kind::Group { String::new() } else { plain(&field.show(frame)) };
    format!("{} {} {} {value}", field.name(), field.at, field.len).trim_end().to_owned()
}

#[test]
fn fields_are_those_of_tshark() {
    let mut wrong = Vec::new();
    for name in names() {
        let capture = Capture::read(&name);
        let golden = String::from_utf8(unpacked(&format!("{name}.fields.gz"))).unwrap();
        let golden = format!("\n{golden}");
        let golden: Vec<&str> = golden.split("\n#").skip(1).collect();
        let ours = capture.dissected();
        assert_eq!(ours.len(), golden.len(), "{name}: packets");
        for ((packet, fields, _), golden) in ours.iter().zip(golden) {
            let mut theirs: Vec<&str> = golden.lines().skip(1).collect();
            // Not everything that is sent to port 53 is DNS: what tshark makes of its names is left out.
            if let Some(at) = theirs.iter().position(|l| l.ends_with("<Unknown extended label>")) {
                theirs.truncate(at);
            }
            // A file's name is repeated in each of its packets.
            theirs.retain(|l| !(l.starts_with("tftp.destination_file") && l.contains(" 0 ")));
            // Without a place of its own in what tshark prints.
            let shown = fields.iter().filter(|f| f.name() != "data");
            let mut ours: Vec<String> = shown.map(|f| line(f, packet.bytes)).collect();
            if fields.iter().any(|f| f.name() == "icmp") {
                // Of a quoted segment tshark scales the window, or does not.
                ours.retain(|l| !l.starts_with("tcp.window_size"));
                theirs.retain(|l| !l.starts_with("tcp.window_size"));
            }
            if ours != theirs {
                let at = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
                let show = |l: &[String]| l.iter().skip(at).take(3).cloned().collect::<Vec<_>>().join(" | ");
                let theirs: Vec<String> = theirs.iter().map(|l| (*l).to_owned()).collect();
                wrong.push(format!(
                    "{name} packet {}:\n  ours  {}\n  tshark {}",
                    packet.number,
                    show(&ours),
                    show(&theirs)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} packets\n{}", wrong.len(), wrong[..wrong.len().min(12)].join("\n"));
}

#[test]
fn a_packet_read_again_is_the_same() {
    for name in names() {
        let capture = Capture::read(&name);
        for (packet, fields, flows) in capture.dissected() {
            assert_eq!(dissect(&packet, &flows), fields, "{name} packet {}", packet.number);
        }
    }
}

#[test]
fn a_frame_cut_anywhere_has_no_field_beyond_its_end() {
    for name in names() {
        let capture = Capture::read(&name);
        for (packet, _, flows) in capture.dissected().into_iter().take(40) {
            for len in 0..packet.bytes.len().min(150) {
                let cut = userland::wireshark::Packet { bytes: &packet.bytes[..len], ..packet };
                for field in dissect(&cut, &flows) {
                    let group = field.known.kind == Kind::Group;
                    assert!(
                        group || field.len == 0 || field.at + field.len <= len,
                        "{} at {len}",
                        field.name()
                    );
                }
            }
        }
    }
}
