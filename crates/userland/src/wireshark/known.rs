//! The fields that are known, by the names that Wireshark's dissectors give them (`tshark -G fields`).

/// What a field's values are, and how they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A protocol, or a group of fields without a value.
    Group,
    /// A number.
    Number,
    /// A number, printed with that many hexadecimal digits.
    Hex(u8),
    /// Set or not.
    Bool,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A MAC address.
    Mac,
    /// Characters.
    Text,
    /// Bytes of the frame.
    Bytes,
    /// Seconds.
    Time,
}

impl Kind {
    /// In words, for messages.
    pub fn words(self) -> &'static str {
        match self {
            Kind::Group => "a protocol",
            Kind::Number | Kind::Hex(_) => "a number",
            Kind::Bool => "0 or 1",
            Kind::Ipv4 => "an IPv4 address, or one with a prefix length",
            Kind::Ipv6 => "an IPv6 address, or one with a prefix length",
            Kind::Mac => "a MAC address such as 02:00:00:00:01:01",
            Kind::Text => "a text in double quotes",
            Kind::Bytes => "bytes such as 47:45:54, or a text in double quotes",
            Kind::Time => "a number of seconds",
        }
    }
}

/// A field that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// `ip.src`
    pub name: &'static str,
    /// `Source Address`
    pub title: &'static str,
    /// What its values are.
    pub kind: Kind,
}

/// The field of that name.
pub fn known(name: &str) -> Option<&'static Known> {
    let at = KNOWN.binary_search_by(|k| k.name.cmp(name)).ok()?;
    KNOWN.get(at)
}

const fn f(name: &'static str, title: &'static str, kind: Kind) -> Known {
    Known { name, title, kind }
}

use Kind::{Bool, Bytes, Group, Hex, Ipv4, Ipv6, Mac, Number, Text, Time};

/// All fields, by name.
pub static KNOWN: &[Known] = &[
    f("arp", "Address Resolution Protocol", Group),
    f("arp.dst.hw_mac", "Target MAC address", Mac),
    f("arp.dst.proto_ipv4", "Target IP address", Ipv4),
    f("arp.hw.size", "Hardware size", Number),
    f("arp.hw.type", "Hardware type", Number),
    f("arp.opcode", "Opcode", Number),
    f("arp.proto.size", "Protocol size", Number),
    f("arp.proto.type", "Protocol type", Hex(4)),
    f("arp.src.hw_mac", "Sender MAC address", Mac),
    f("arp.src.proto_ipv4", "Sender IP address", Ipv4),
    f("data", "Data", Group),
    f("data-text-lines", "Line-based text data", Group),
    f("data.data", "Data", Bytes),
    f("data.len", "Length", Number),
    f("dns", "Domain Name System", Group),
    f("dns.a", "Address", Ipv4),
    f("dns.aaaa", "AAAA Address", Ipv6),
    f("dns.cname", "CNAME", Text),
    f("dns.count.add_rr", "Additional RRs", Number),
    f("dns.count.answers", "Answer RRs", Number),
    f("dns.count.auth_rr", "Authority RRs", Number),
    f("dns.count.labels", "Label Count", Number),
    f("dns.count.queries", "Questions", Number),
    f("dns.flags", "Flags", Hex(4)),
    f("dns.flags.authenticated", "Answer authenticated", Bool),
    f("dns.flags.authoritative", "Authoritative", Bool),
    f("dns.flags.checkdisable", "Non-authenticated data", Bool),
    f("dns.flags.opcode", "Opcode", Number),
    f("dns.flags.rcode", "Reply code", Number),
    f("dns.flags.recavail", "Recursion available", Bool),
    f("dns.flags.recdesired", "Recursion desired", Bool),
    f("dns.flags.response", "Response", Bool),
    f("dns.flags.truncated", "Truncated", Bool),
    f("dns.flags.z", "Z", Bool),
    f("dns.id", "Transaction ID", Hex(4)),
    f("dns.length", "Length", Number),
    f("dns.ns", "Name Server", Text),
    f("dns.ptr.domain_name", "Domain Name", Text),
    f("dns.qry.class", "Class", Hex(4)),
    f("dns.qry.name", "Name", Text),
    f("dns.qry.name.len", "Name Length", Number),
    f("dns.qry.type", "Type", Number),
    f("dns.resp.class", "Class", Hex(4)),
    f("dns.resp.edns0_version", "EDNS0 version", Number),
    f("dns.resp.ext_rcode", "Higher bits in extended RCODE", Hex(2)),
    f("dns.resp.len", "Data length", Number),
    f("dns.resp.name", "Name", Text),
    f("dns.resp.ttl", "Time to live", Number),
    f("dns.resp.type", "Type", Number),
    f("dns.resp.z", "Z", Hex(4)),
    f("dns.rr.udp_payload_size", "UDP payload size", Number),
    f("dns.soa.expire_limit", "Expire limit", Number),
    f("dns.soa.minimum_ttl", "Minimum TTL", Number),
    f("dns.soa.mname", "Primary name server", Text),
    f("dns.soa.refresh_interval", "Refresh Interval", Number),
    f("dns.soa.retry_interval", "Retry Interval", Number),
    f("dns.soa.rname", "Responsible authority's mailbox", Text),
    f("dns.soa.serial_number", "Serial Number", Number),
    f("dns.srv.port", "Port", Number),
    f("dns.srv.priority", "Priority", Number),
    f("dns.srv.target", "Target", Text),
    f("dns.srv.weight", "Weight", Number),
    f("eth", "Ethernet II", Group),
    f("eth.addr", "Address", Mac),
    f("eth.dst", "Destination", Mac),
    f("eth.src", "Source", Mac),
    f("eth.type", "Type", Hex(4)),
    f("frame", "Frame", Group),
    f("frame.cap_len", "Capture Length", Number),
    f("frame.comment", "Comment", Text),
    f("frame.interface_description", "Interface description", Text),
    f("frame.interface_id", "Interface id", Number),
    f("frame.interface_name", "Interface name", Text),
    f("frame.len", "Frame Length", Number),
    f("frame.number", "Frame Number", Number),
    f("frame.packet_flags_direction", "Direction", Hex(8)),
    f("frame.time_epoch", "Epoch Time", Time),
    f("frame.time_relative", "Time since first frame", Time),
    f("http", "Hypertext Transfer Protocol", Group),
    f("http.accept", "Accept", Text),
    f("http.connection", "Connection", Text),
    f("http.content_length", "Content length", Number),
    f("http.content_length_header", "Content-Length", Text),
    f("http.content_type", "Content-Type", Text),
    f("http.date", "Date", Text),
    f("http.file_data", "File Data", Text),
    f("http.host", "Host", Text),
    f("http.location", "Location", Text),
    f("http.request", "Request", Bool),
    f("http.request.line", "Request line", Text),
    f("http.request.method", "Request Method", Text),
    f("http.request.uri", "Request URI", Text),
    f("http.request.version", "Request Version", Text),
    f("http.response", "Response", Bool),
    f("http.response.code", "Status Code", Number),
    f("http.response.code.desc", "Status Code Description", Text),
    f("http.response.line", "Response line", Text),
    f("http.response.phrase", "Response Phrase", Text),
    f("http.response.version", "Response Version", Text),
    f("http.server", "Server", Text),
    f("http.user_agent", "User-Agent", Text),
    f("http.x_forwarded_for", "X-Forwarded-For", Text),
    f("icmp", "Internet Control Message Protocol", Group),
    f("icmp.checksum", "Checksum", Hex(4)),
    f("icmp.checksum.status", "Checksum Status", Number),
    f("icmp.code", "Code", Number),
    f("icmp.ident", "Identifier", Number),
    f("icmp.ident_le", "Identifier (LE)", Number),
    f("icmp.mtu", "MTU of next hop", Number),
    f("icmp.redir_gw", "Gateway Address", Ipv4),
    f("icmp.seq", "Sequence Number", Number),
    f("icmp.seq_le", "Sequence Number (LE)", Number),
    f("icmp.type", "Type", Number),
    f("icmp.unused", "Unused", Bytes),
    f("icmpv6", "Internet Control Message Protocol v6", Group),
    f("icmpv6.checksum", "Checksum", Hex(4)),
    f("icmpv6.code", "Code", Number),
    f("icmpv6.echo.identifier", "Identifier", Hex(4)),
    f("icmpv6.echo.sequence_number", "Sequence", Number),
    f("icmpv6.type", "Type", Number),
    f("ip", "Internet Protocol Version 4", Group),
    f("ip.addr", "Source or Destination Address", Ipv4),
    f("ip.checksum", "Header Checksum", Hex(4)),
    f("ip.dsfield", "Differentiated Services Field", Hex(2)),
    f("ip.dsfield.dscp", "Differentiated Services Codepoint", Number),
    f("ip.dsfield.ecn", "Explicit Congestion Notification", Number),
    f("ip.dst", "Destination Address", Ipv4),
    f("ip.flags", "Flags", Hex(2)),
    f("ip.flags.df", "Don't fragment", Bool),
    f("ip.flags.mf", "More fragments", Bool),
    f("ip.flags.rb", "Reserved bit", Bool),
    f("ip.frag_offset", "Fragment Offset", Number),
    f("ip.hdr_len", "Header Length", Number),
    f("ip.id", "Identification", Hex(4)),
    f("ip.len", "Total Length", Number),
    f("ip.proto", "Protocol", Number),
    f("ip.src", "Source Address", Ipv4),
    f("ip.ttl", "Time to Live", Number),
    f("ip.version", "Version", Number),
    f("ipv6", "Internet Protocol Version 6", Group),
    f("ipv6.addr", "Source or Destination Address", Ipv6),
    f("ipv6.dst", "Destination Address", Ipv6),
    f("ipv6.hlim", "Hop Limit", Number),
    f("ipv6.nxt", "Next Header", Number),
    f("ipv6.plen", "Payload Length", Number),
    f("ipv6.src", "Source Address", Ipv6),
    f("ipv6.version", "Version", Number),
    f("pkt_comment", "Packet comments", Group),
    f("tcp", "Transmission Control Protocol", Group),
    f("tcp.ack", "Acknowledgment Number", Number),
    f("tcp.ack_raw", "Acknowledgment number (raw)", Number),
    f("tcp.checksum", "Checksum", Hex(4)),
    f("tcp.dstport", "Destination Port", Number),
    f("tcp.flags", "Flags", Hex(4)),
    f("tcp.flags.ack", "Acknowledgment", Bool),
    f("tcp.flags.ae", "Accurate ECN", Bool),
    f("tcp.flags.cwr", "Congestion Window Reduced", Bool),
    f("tcp.flags.ece", "ECN-Echo", Bool),
    f("tcp.flags.fin", "Fin", Bool),
    f("tcp.flags.push", "Push", Bool),
    f("tcp.flags.res", "Reserved", Bool),
    f("tcp.flags.reset", "Reset", Bool),
    f("tcp.flags.syn", "Syn", Bool),
    f("tcp.flags.urg", "Urgent", Bool),
    f("tcp.hdr_len", "Header Length", Number),
    f("tcp.len", "TCP Segment Len", Number),
    f("tcp.nxtseq", "Next Sequence Number", Number),
    f("tcp.option_kind", "Kind", Number),
    f("tcp.option_len", "Length", Number),
    f("tcp.options", "Options", Bytes),
    f("tcp.options.mss", "TCP Option - Maximum segment size", Bytes),
    f("tcp.options.mss_val", "MSS Value", Number),
    f("tcp.options.nop", "TCP Option - No-Operation (NOP)", Bytes),
    f("tcp.options.sack_perm", "TCP Option - SACK permitted", Bytes),
    f("tcp.options.timestamp", "TCP Option - Timestamps", Bytes),
    f("tcp.options.timestamp.tsecr", "Timestamp echo reply", Number),
    f("tcp.options.timestamp.tsval", "Timestamp value", Number),
    f("tcp.options.wscale", "TCP Option - Window scale", Bytes),
    f("tcp.options.wscale.multiplier", "Multiplier", Number),
    f("tcp.options.wscale.shift", "Shift count", Number),
    f("tcp.payload", "TCP payload", Bytes),
    f("tcp.port", "Source or Destination Port", Number),
    f("tcp.seq", "Sequence Number", Number),
    f("tcp.seq_raw", "Sequence Number (raw)", Number),
    f("tcp.srcport", "Source Port", Number),
    f("tcp.stream", "Stream index", Number),
    f("tcp.urgent_pointer", "Urgent Pointer", Number),
    f("tcp.window_size", "Calculated window size", Number),
    f("tcp.window_size_scalefactor", "Window size scaling factor", Number),
    f("tcp.window_size_value", "Window", Number),
    f("tftp", "Trivial File Transfer Protocol", Group),
    f("tftp.block", "Block", Number),
    f("tftp.destination_file", "Destination File", Text),
    f("tftp.error.code", "Error code", Number),
    f("tftp.error.message", "Error message", Text),
    f("tftp.opcode", "Opcode", Number),
    f("tftp.source_file", "Source File", Text),
    f("tftp.type", "Type", Text),
    f("udp", "User Datagram Protocol", Group),
    f("udp.checksum", "Checksum", Hex(4)),
    f("udp.dstport", "Destination Port", Number),
    f("udp.length", "Length", Number),
    f("udp.payload", "UDP payload", Bytes),
    f("udp.port", "Source or Destination Port", Number),
    f("udp.srcport", "Source Port", Number),
    f("udp.stream", "Stream index", Number),
    f("vxlan", "Virtual eXtensible Local Area Network", Group),
    f("vxlan.flags", "Flags", Hex(4)),
    f("vxlan.gbp", "Group Policy ID", Number),
    f("vxlan.reserved8", "Reserved", Number),
    f("vxlan.vni", "VXLAN Network Identifier (VNI)", Number),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_stand_by_name_so_that_each_is_found() {
        for pair in KNOWN.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} {}", pair[0].name, pair[1].name);
        }
        for field in KNOWN {
            assert_eq!(known(field.name), Some(field));
        }
        assert_eq!(known("ip.nothing"), None);
    }
}
