//! What went wrong, in words: from the chains of errors of the libraries to a kind and a sentence.

use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

use rustix::io::Errno;
use rustls::{AlertDescription, CertificateError};

use crate::health::{Failure, FailureKind, text};

use super::connector::{GaveUp, Lost};
use super::trail::{Peer, Phase};

/// A message is no longer than this.
const LONGEST: usize = 500;

/// Why something did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cause {
    /// The class.
    pub(super) kind: FailureKind,
    /// What happened.
    pub(super) words: String,
    /// Nothing listens there.
    pub(super) refused: bool,
    /// This machine cannot have such an address at all, so nothing can listen there either.
    pub(super) absent: bool,
}

impl Cause {
    /// A cause of this kind.
    pub(super) fn new(kind: FailureKind, words: impl Into<String>) -> Self {
        Self {
            kind,
            words: words.into(),
            refused: false,
            absent: false,
        }
    }

    /// A fault on our own side.
    pub(super) fn local(words: impl Into<String>) -> Self {
        Self::new(FailureKind::Local, words)
    }

    fn refused(words: &str) -> Self {
        Self {
            refused: true,
            ..Self::new(FailureKind::Connect, words)
        }
    }

    fn absent(words: &str) -> Self {
        Self {
            absent: true,
            ..Self::new(FailureKind::Connect, words)
        }
    }

    /// The failure for a face, safe for any terminal.
    pub(super) fn failure(&self) -> Failure {
        Failure::new(self.kind, text::clean(&self.words, LONGEST))
    }
}

/// The system's words without its number for them.
pub(super) fn system(error: &io::Error) -> String {
    let words = error.to_string();
    match words.rfind(" (os error ") {
        Some(at) => words.get(..at).unwrap_or(&words).to_owned(),
        None => words,
    }
}

/// A failed name lookup.
pub(super) fn lookup(host: &str, error: &io::Error) -> Cause {
    if let Some(cause) = exhausted(error) {
        return cause;
    }
    let words = system(error);
    let words = words
        .strip_prefix("failed to lookup address information: ")
        .unwrap_or(&words);
    Cause::new(FailureKind::Dns, format!("cannot look up {host}: {words}"))
}

/// An error of a request, at the phase that the trail tells.
pub(super) fn request(error: &(dyn Error + 'static), phase: Phase, peer: Option<&Peer>) -> Cause {
    let found = Found::in_chain(error);
    if found.lost || found.gave_up {
        return Cause::new(FailureKind::Timeout, "no reply yet");
    }
    if let Some(error) = found.tls {
        return tls(error);
    }
    if let Some(error) = found.io {
        if let Some(cause) = exhausted(error) {
            return cause;
        }
        return match phase {
            Phase::Prepare | Phase::Lookup | Phase::Connect => connect(error, peer),
            Phase::Handshake => broken(FailureKind::Tls, error, "during the TLS handshake"),
            Phase::Head => broken(FailureKind::Protocol, error, "before an answer"),
            Phase::Body
                if error.kind() == io::ErrorKind::InvalidInput
                    || error.kind() == io::ErrorKind::InvalidData =>
            {
                Cause::new(
                    FailureKind::Protocol,
                    format!("the body is not HTTP ({error})"),
                )
            }
            Phase::Body => broken(FailureKind::Protocol, error, "in the middle of the body"),
        };
    }
    if let Some(error) = found.http {
        return http(error, phase);
    }
    let words = found.innermost;
    match phase {
        Phase::Prepare => Cause::local(words),
        Phase::Lookup | Phase::Connect => Cause::new(FailureKind::Connect, words),
        Phase::Handshake => Cause::new(FailureKind::Tls, words),
        Phase::Head | Phase::Body => Cause::new(FailureKind::Protocol, words),
    }
}

/// The failures of all addresses of a name as one.
pub(super) fn all(tried: &[(Peer, Cause)]) -> Cause {
    let Some((_, first)) = tried.first() else {
        return Cause::new(FailureKind::Dns, "the name has no address");
    };
    let there = || tried.iter().filter(|(_, cause)| !cause.absent);
    let refused = there().next().is_some() && there().all(|(_, cause)| cause.refused);
    let alike = |words: &str, tried: &mut dyn Iterator<Item = &(Peer, Cause)>| {
        let peers: Vec<_> = tried.map(|(peer, _)| peer.to_string()).collect();
        format!("{words} ({})", peers.join(", "))
    };
    if refused {
        let words = there().next().map_or("refused", |(_, cause)| &cause.words);
        return Cause::refused(&alike(words, &mut there()));
    }
    // A fault of our own at one address leaves open what the service is like.
    let kind = [
        FailureKind::Local,
        FailureKind::Tls,
        FailureKind::Protocol,
        FailureKind::Connect,
        FailureKind::Timeout,
    ]
    .into_iter()
    .find(|kind| there().any(|(_, cause)| cause.kind == *kind))
    .unwrap_or(first.kind);
    if tried.iter().all(|(_, cause)| cause.words == first.words) {
        return Cause::new(kind, alike(&first.words, &mut tried.iter()));
    }
    let each: Vec<_> = tried
        .iter()
        .map(|(peer, cause)| format!("{peer}: {}", cause.words))
        .collect();
    Cause::new(kind, format!("no connection ({})", each.join(", ")))
}

/// What a chain of errors holds, the deepest of each.
#[derive(Default)]
struct Found<'a> {
    tls: Option<&'a rustls::Error>,
    io: Option<&'a io::Error>,
    http: Option<&'a hyper::Error>,
    lost: bool,
    gave_up: bool,
    innermost: String,
}

impl<'a> Found<'a> {
    fn in_chain(error: &'a (dyn Error + 'static)) -> Self {
        let mut found = Self::default();
        let mut current = Some(error);
        // No chain of a library is longer; one that loops ends here.
        for _ in 0..32 {
            let Some(error) = current else { break };
            found.innermost = error.to_string();
            current = error.source();
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                found.tls = Some(tls);
            } else if let Some(http) = error.downcast_ref::<hyper::Error>() {
                found.http = Some(http);
            } else if let Some(io) = error.downcast_ref::<io::Error>() {
                found.io = Some(io);
                // An error inside an io::Error is no source of it: the source is that one's source.
                if let Some(inner) = io.get_ref() {
                    current = Some(inner);
                }
            }
            found.lost |= error.is::<Lost>();
            found.gave_up |= error.is::<GaveUp>();
        }
        found
    }
}

/// What this machine has run out of.
fn exhausted(error: &io::Error) -> Option<Cause> {
    Some(Cause::local(match Errno::from_io_error(error)? {
        Errno::MFILE => "no file descriptor left (see `ulimit -n`)",
        Errno::NFILE => "no file descriptor left on this machine",
        Errno::NOBUFS | Errno::NOMEM => "no memory left for a connection",
        _ => return None,
    }))
}

fn connect(error: &io::Error, peer: Option<&Peer>) -> Cause {
    let address = match peer {
        Some(Peer::Socket(_)) => return socket_file(error),
        Some(Peer::Address(address)) => Some(address),
        None => None,
    };
    let six = address.is_some_and(SocketAddr::is_ipv6);
    match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => Cause::refused("connection refused"),
        Some(Errno::TIMEDOUT) => Cause::new(FailureKind::Timeout, "connection timed out"),
        Some(Errno::NETUNREACH | Errno::AFNOSUPPORT) if six => Cause::absent("no IPv6 here"),
        Some(Errno::NETUNREACH) => Cause::new(FailureKind::Connect, "network unreachable"),
        Some(Errno::HOSTUNREACH) => Cause::new(FailureKind::Connect, "host unreachable"),
        Some(Errno::ADDRNOTAVAIL) if six && !has_ipv6() => Cause::absent("no IPv6 here"),
        Some(Errno::ADDRNOTAVAIL) => Cause::local("no local port left for a connection"),
        Some(Errno::ACCESS | Errno::PERM) => {
            Cause::local("this machine does not permit the connection")
        }
        _ => broken(FailureKind::Connect, error, "while connecting"),
    }
}

fn socket_file(error: &io::Error) -> Cause {
    match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => Cause::refused("nothing listens on the socket"),
        Some(Errno::NOENT | Errno::NOTDIR) => Cause::refused("no such socket"),
        Some(Errno::ACCESS | Errno::PERM) => Cause::local("no permission on the socket"),
        Some(Errno::NOTSOCK) => Cause::new(FailureKind::Connect, "the file is no socket"),
        Some(Errno::AGAIN) => Cause::new(FailureKind::Connect, "the queue of the socket is full"),
        Some(Errno::PROTOTYPE) => Cause::new(FailureKind::Connect, "the socket is of another type"),
        None if error.kind() == io::ErrorKind::InvalidInput => {
            Cause::local("the path of the socket is too long")
        }
        _ => broken(FailureKind::Connect, error, "while connecting"),
    }
}

/// Whether this machine has an IPv6 address at all: without one, `[::1]` gives the same error as ports that have run out.
fn has_ipv6() -> bool {
    UdpSocket::bind((IpAddr::V6(Ipv6Addr::LOCALHOST), 0)).is_ok()
}

/// A connection that broke.
fn broken(kind: FailureKind, error: &io::Error, when: &str) -> Cause {
    let what = match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => "connection reset",
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::WriteZero => "connection closed",
        io::ErrorKind::TimedOut => {
            return Cause::new(FailureKind::Timeout, format!("connection timed out {when}"));
        }
        _ => return Cause::new(kind, format!("{} {when}", system(error))),
    };
    Cause::new(kind, format!("{what} {when}"))
}

fn http(error: &hyper::Error, phase: Phase) -> Cause {
    let words = if error.is_parse_too_large() {
        "the response head is larger than allowed".to_owned()
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        match phase {
            Phase::Body => "connection closed in the middle of the body".to_owned(),
            _ => "connection closed before an answer".to_owned(),
        }
    } else if error.is_parse_version_h2() {
        "the reply is HTTP/2, not HTTP/1.1".to_owned()
    } else if error.is_parse() {
        let what = error.to_string();
        format!(
            "the reply is not HTTP ({})",
            what.trim_end_matches(" parsed")
        )
    } else if error.to_string().contains("unexpected message") {
        "the server speaks before it is asked: not HTTP".to_owned()
    } else {
        error.to_string()
    };
    Cause::new(FailureKind::Protocol, words)
}

fn tls(error: &rustls::Error) -> Cause {
    use rustls::Error as Tls;
    let words = match error {
        Tls::InvalidCertificate(error) => certificate(error),
        Tls::AlertReceived(alert) => alert_words(*alert),
        Tls::InvalidMessage(_) => "the reply is not TLS (does this port want http?)".to_owned(),
        Tls::NoCertificatesPresented => "the server shows no certificate".to_owned(),
        Tls::PeerIncompatible(why) => format!("no TLS version or cipher in common ({why:?})"),
        Tls::UnsupportedNameType => "the server name is of no use for TLS".to_owned(),
        other => format!("TLS: {other}"),
    };
    Cause::new(FailureKind::Tls, words)
}

fn certificate(error: &CertificateError) -> String {
    let day = |time: &rustls::pki_types::UnixTime| {
        i64::try_from(time.as_secs())
            .ok()
            .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
            .map_or_else(
                || "an unknown day".to_owned(),
                |at| at.strftime("%F").to_string(),
            )
    };
    match error {
        CertificateError::Expired => "certificate expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("certificate expired on {}", day(not_after))
        }
        CertificateError::NotValidYet => "certificate not valid yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("certificate not valid before {}", day(not_before))
        }
        CertificateError::Revoked => "certificate revoked".to_owned(),
        CertificateError::UnknownIssuer => {
            "certificate is self-signed or from an authority that is not trusted here (see `tls.ca`)".to_owned()
        }
        CertificateError::NotValidForName => "certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            // They come as `DnsName("a.example")`.
            let presented: Vec<_> = presented.iter().take(5).map(|name| unwrapped(name)).collect();
            format!(
                "certificate is not for {} but for {}",
                expected.to_str(),
                if presented.is_empty() { "no name at all".to_owned() } else { presented.join(", ") }
            )
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "certificate is not one for servers".to_owned()
        }
        CertificateError::BadEncoding => "certificate cannot be read".to_owned(),
        CertificateError::BadSignature => {
            "certificate is not signed by the authority that it names (see `tls.ca`)".to_owned()
        }
        // webpki's words for a self-signed certificate that says it is an authority.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "certificate is an authority's own, not a server's (self-signed?)".to_owned()
        }
        other => format!("certificate is not valid ({other})"),
    }
}

/// What stands between the quotation marks, where there are any.
fn unwrapped(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}

fn alert_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "the server demands a client certificate (see `tls.cert`)".to_owned()
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnknownCA
        | AlertDescription::CertificateUnknown
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::AccessDenied => {
            format!("the server does not accept our certificate ({alert:?})")
        }
        AlertDescription::UnrecognisedName => {
            "the server does not know the name asked for".to_owned()
        }
        AlertDescription::ProtocolVersion | AlertDescription::HandshakeFailure => {
            format!("the server refuses the TLS handshake ({alert:?})")
        }
        other => format!("the server broke TLS off ({other:?})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureKind::{Connect, Local, Protocol, Timeout, Tls};

    fn peer(text: &str) -> Peer {
        match text.parse() {
            Ok(address) => Peer::Address(address),
            Err(_) => Peer::Socket(std::path::Path::new(text).into()),
        }
    }

    #[test]
    fn errors_of_the_system() {
        let check = |errno: Errno, phase: Phase, at: &str, kind: FailureKind, words: &str| {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            let cause = request(&error, phase, Some(&peer(at)));
            assert_eq!(
                (cause.kind, cause.words.as_str()),
                (kind, words),
                "{errno} {at}"
            );
            cause
        };
        let (four, six) = ("127.0.0.1:80", "[2001:db8::1]:80");
        for phase in [Phase::Connect, Phase::Handshake, Phase::Head, Phase::Body] {
            check(
                Errno::MFILE,
                phase,
                four,
                Local,
                "no file descriptor left (see `ulimit -n`)",
            );
            check(
                Errno::NFILE,
                phase,
                four,
                Local,
                "no file descriptor left on this machine",
            );
            check(
                Errno::NOBUFS,
                phase,
                four,
                Local,
                "no memory left for a connection",
            );
        }
        let connect = Phase::Connect;
        assert!(
            check(
                Errno::CONNREFUSED,
                connect,
                four,
                Connect,
                "connection refused"
            )
            .refused
        );
        assert!(
            !check(
                Errno::NETUNREACH,
                connect,
                four,
                Connect,
                "network unreachable"
            )
            .absent
        );
        assert!(check(Errno::NETUNREACH, connect, six, Connect, "no IPv6 here").absent);
        assert!(check(Errno::AFNOSUPPORT, connect, six, Connect, "no IPv6 here").absent);
        check(
            Errno::HOSTUNREACH,
            connect,
            six,
            Connect,
            "host unreachable",
        );
        check(
            Errno::TIMEDOUT,
            connect,
            four,
            Timeout,
            "connection timed out",
        );
        check(
            Errno::ADDRNOTAVAIL,
            connect,
            four,
            Local,
            "no local port left for a connection",
        );
        check(
            Errno::PERM,
            connect,
            four,
            Local,
            "this machine does not permit the connection",
        );
        check(
            Errno::CONNRESET,
            connect,
            four,
            Connect,
            "connection reset while connecting",
        );
        check(
            Errno::ACCESS,
            connect,
            "/x.sock",
            Local,
            "no permission on the socket",
        );
        check(
            Errno::NOTSOCK,
            connect,
            "/x.sock",
            Connect,
            "the file is no socket",
        );
        check(
            Errno::AGAIN,
            connect,
            "/x.sock",
            Connect,
            "the queue of the socket is full",
        );
        check(
            Errno::CONNRESET,
            Phase::Handshake,
            four,
            Tls,
            "connection reset during the TLS handshake",
        );
        check(
            Errno::PIPE,
            Phase::Head,
            four,
            Protocol,
            "connection closed before an answer",
        );
        check(
            Errno::TIMEDOUT,
            Phase::Body,
            four,
            Timeout,
            "connection timed out in the middle of the body",
        );
        check(
            Errno::IO,
            Phase::Body,
            four,
            Protocol,
            "Input/output error in the middle of the body",
        );
    }

    #[test]
    fn several_addresses_as_one() {
        let refused = || Cause::refused("connection refused");
        let absent = || Cause::absent("no IPv6 here");
        let late = || Cause::new(Timeout, "no reply yet");
        let local = || Cause::local("no file descriptor left");
        let check = |causes: &[Cause], kind: FailureKind, words: &str, is_refused: bool| {
            let tried: Vec<_> = causes
                .iter()
                .zip(["127.0.0.1:80", "[::1]:80", "10.0.0.1:80"])
                .map(|(cause, at)| (peer(at), cause.clone()))
                .collect();
            let cause = all(&tried);
            assert_eq!(
                (cause.kind, cause.words.as_str(), cause.refused),
                (kind, words, is_refused)
            );
        };
        check(&[], FailureKind::Dns, "the name has no address", false);
        check(
            &[refused()],
            Connect,
            "connection refused (127.0.0.1:80)",
            true,
        );
        check(
            &[refused(), refused()],
            Connect,
            "connection refused (127.0.0.1:80, [::1]:80)",
            true,
        );
        check(
            &[refused(), absent()],
            Connect,
            "connection refused (127.0.0.1:80)",
            true,
        );
        check(
            &[absent(), absent()],
            Connect,
            "no IPv6 here (127.0.0.1:80, [::1]:80)",
            false,
        );
        check(
            &[refused(), late()],
            Connect,
            "no connection (127.0.0.1:80: connection refused, [::1]:80: no reply yet)",
            false,
        );
        check(
            &[late(), late()],
            Timeout,
            "no reply yet (127.0.0.1:80, [::1]:80)",
            false,
        );
        check(
            &[local(), local()],
            Local,
            "no file descriptor left (127.0.0.1:80, [::1]:80)",
            false,
        );
        check(
            &[local(), refused()],
            Local,
            "no connection (127.0.0.1:80: no file descriptor left, [::1]:80: connection refused)",
            false,
        );
    }
}
