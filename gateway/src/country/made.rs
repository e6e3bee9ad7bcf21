//! A small database of countries in MaxMind's format (version 2.0 of its specification), for tests here and on real processes.
#![allow(unreachable_pub, reason = "the tests on real processes take the file over whole")]

/// A database that knows the country of these IPv4 networks, each as address and length of its prefix, and of no others.
pub fn database(networks: &[([u8; 4], u8, &str)]) -> Vec<u8> {
    let (mut nodes, mut data) = (vec![[Record::Empty; 2]], Vec::new());
    for (address, bits, country) in networks {
        let at = data.len();
        data.extend(map(&[("country", map(&[("iso_code", text(country))]))]));
        let address = u32::from_be_bytes(*address);
        let mut node = 0;
        for depth in 0..*bits {
            let side = usize::from(address >> (31 - depth) & 1 == 1);
            if depth + 1 == *bits {
                nodes[node][side] = Record::Data(at);
            } else if let Record::Node(next) = nodes[node][side] {
                node = next;
            } else {
                nodes.push([Record::Empty; 2]);
                nodes[node][side] = Record::Node(nodes.len() - 1);
                node = nodes.len() - 1;
            }
        }
    }
    let mut file = Vec::new();
    for record in nodes.iter().flatten() {
        let value = match *record {
            Record::Node(number) => number,
            Record::Empty => nodes.len(),
            Record::Data(at) => nodes.len() + 16 + at,
        };
        file.extend(&u32::try_from(value).unwrap().to_be_bytes()[1..]);
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    let count = u32::try_from(nodes.len()).unwrap();
    file.extend(map(&[
        ("node_count", [vec![6 << 5 | 4], count.to_be_bytes().to_vec()].concat()),
        ("record_size", vec![5 << 5 | 1, 24]),
        ("ip_version", vec![5 << 5 | 1, 4]),
        ("database_type", text("Made-Country")),
        ("languages", vec![0, 11 - 7]),
        ("binary_format_major_version", vec![5 << 5 | 1, 2]),
        ("binary_format_minor_version", vec![5 << 5]),
        ("build_epoch", vec![1, 9 - 7, 1]),
        ("description", map(&[])),
    ]));
    file
}

#[derive(Clone, Copy)]
enum Record {
    Node(usize),
    Empty,
    Data(usize),
}

fn text(text: &str) -> Vec<u8> {
    assert!(text.len() < 29, "a longer text is written in another way");
    [&[2 << 5 | u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut written = vec![7 << 5 | u8::try_from(entries.len()).unwrap()];
    for (key, value) in entries {
        written.extend(text(key));
        written.extend(value);
    }
    written
}
