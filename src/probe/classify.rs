//! Turns the errors of the libraries and of the system into a [`ProbeError`].

use std::error::Error;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

use rustix::io::Errno;
use rustls::{AlertDescription, CertificateError};

use crate::health::FailureKind;

use super::connector::Abandoned;
use super::error::{ProbeError, system_message};
use super::timeline::{Peer, ProbePhase};

/// Classifies the error of a request in the given phase.
pub(super) fn request_error(
    error: &(dyn Error + 'static),
    phase: ProbePhase,
    peer: Option<&Peer>,
) -> ProbeError {
    let found = ErrorChain::of(error);
    if found.no_reply {
        return ProbeError::new(FailureKind::Timeout, "no reply yet");
    }
    if let Some(error) = found.tls {
        return tls_error(error);
    }
    if let Some(error) = found.io {
        if let Some(cause) = exhausted(error) {
            return cause;
        }
        return match phase {
            ProbePhase::Prepare | ProbePhase::Lookup | ProbePhase::Connect => {
                connect_error(error, peer)
            }
            ProbePhase::Handshake => {
                broken_connection(FailureKind::Tls, error, "during the TLS handshake")
            }
            ProbePhase::Head => broken_connection(FailureKind::Protocol, error, "before an answer"),
            ProbePhase::Body
                if error.kind() == io::ErrorKind::InvalidInput
                    || error.kind() == io::ErrorKind::InvalidData =>
            {
                ProbeError::new(
                    FailureKind::Protocol,
                    format!("the body is not HTTP ({error})"),
                )
            }
            ProbePhase::Body => {
                broken_connection(FailureKind::Protocol, error, "in the middle of the body")
            }
        };
    }
    if let Some(error) = found.http {
        return http_error(error, phase);
    }
    let message = found.innermost;
    match phase {
        ProbePhase::Prepare => ProbeError::local(message),
        ProbePhase::Lookup | ProbePhase::Connect => ProbeError::new(FailureKind::Connect, message),
        ProbePhase::Handshake => ProbeError::new(FailureKind::Tls, message),
        ProbePhase::Head | ProbePhase::Body => ProbeError::new(FailureKind::Protocol, message),
    }
}

fn http_error(error: &hyper::Error, phase: ProbePhase) -> ProbeError {
    let message = if error.is_parse_too_large() {
        "the response head is larger than allowed".to_owned()
    } else if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        match phase {
            ProbePhase::Body => "connection closed in the middle of the body".to_owned(),
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
    ProbeError::new(FailureKind::Protocol, message)
}

/// The errors in a chain, the deepest of each kind.
#[derive(Default)]
struct ErrorChain<'a> {
    tls: Option<&'a rustls::Error>,
    io: Option<&'a io::Error>,
    http: Option<&'a hyper::Error>,
    /// Another address was faster, or the time of this one is up.
    no_reply: bool,
    innermost: String,
}

impl<'a> ErrorChain<'a> {
    fn of(error: &'a (dyn Error + 'static)) -> Self {
        let mut found = Self::default();
        let mut current = Some(error);
        // No library has a longer chain; a loop ends here.
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
                // An error inside an `io::Error` is not its source; its source is that of the inner error.
                if let Some(inner) = io.get_ref() {
                    current = Some(inner);
                }
            }
            found.no_reply |= error.is::<Abandoned>();
        }
        found
    }
}

/// Classifies the error of a name lookup.
pub(super) fn lookup_error(host: &str, error: &io::Error) -> ProbeError {
    if let Some(cause) = exhausted(error) {
        return cause;
    }
    let message = system_message(error);
    let message = message.trim_start_matches("failed to lookup address information: ");
    ProbeError::new(
        FailureKind::Dns,
        format!("cannot look up {host}: {message}"),
    )
}

/// Returns an error when this machine has run out of something.
fn exhausted(error: &io::Error) -> Option<ProbeError> {
    Some(ProbeError::local(match Errno::from_io_error(error)? {
        Errno::MFILE => "no file descriptor left (see `ulimit -n`)",
        Errno::NFILE => "no file descriptor left on this machine",
        Errno::NOBUFS | Errno::NOMEM => "no memory left for a connection",
        _ => return None,
    }))
}

/// Classifies the error of a connection that could not be made.
fn connect_error(error: &io::Error, peer: Option<&Peer>) -> ProbeError {
    let address = match peer {
        Some(Peer::Socket(_)) => return socket_file_error(error),
        Some(Peer::Address(address)) => Some(address),
        None => None,
    };
    let six = address.is_some_and(SocketAddr::is_ipv6);
    match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => ProbeError::refused("connection refused"),
        Some(Errno::TIMEDOUT) => ProbeError::new(FailureKind::Timeout, "connection timed out"),
        Some(Errno::NETUNREACH | Errno::AFNOSUPPORT) if six => ProbeError::absent("no IPv6 here"),
        Some(Errno::NETUNREACH) => ProbeError::new(FailureKind::Connect, "network unreachable"),
        Some(Errno::HOSTUNREACH) => ProbeError::new(FailureKind::Connect, "host unreachable"),
        Some(Errno::ADDRNOTAVAIL) if six && !has_ipv6() => ProbeError::absent("no IPv6 here"),
        Some(Errno::ADDRNOTAVAIL) => ProbeError::local("no local port left for a connection"),
        Some(Errno::ACCESS | Errno::PERM) => {
            ProbeError::local("this machine does not permit the connection")
        }
        _ => broken_connection(FailureKind::Connect, error, "while connecting"),
    }
}

fn socket_file_error(error: &io::Error) -> ProbeError {
    match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED) => ProbeError::refused("nothing listens on the socket"),
        Some(Errno::NOENT | Errno::NOTDIR) => ProbeError::refused("no such socket"),
        Some(Errno::ACCESS | Errno::PERM) => ProbeError::local("no permission on the socket"),
        Some(Errno::NOTSOCK) => ProbeError::new(FailureKind::Connect, "the file is no socket"),
        Some(Errno::AGAIN) => {
            ProbeError::new(FailureKind::Connect, "the queue of the socket is full")
        }
        Some(Errno::PROTOTYPE) => {
            ProbeError::new(FailureKind::Connect, "the socket is of another type")
        }
        None if error.kind() == io::ErrorKind::InvalidInput => {
            ProbeError::local("the path of the socket is too long")
        }
        _ => broken_connection(FailureKind::Connect, error, "while connecting"),
    }
}

/// Returns whether this machine has an IPv6 address at all: without one, `[::1]` gives the same error as when there are
/// no ports left.
fn has_ipv6() -> bool {
    UdpSocket::bind((IpAddr::V6(Ipv6Addr::LOCALHOST), 0)).is_ok()
}

/// Classifies the error of a connection that broke.
fn broken_connection(kind: FailureKind, error: &io::Error, when: &str) -> ProbeError {
    let what = match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => "connection reset",
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::WriteZero => "connection closed",
        io::ErrorKind::TimedOut => {
            return ProbeError::new(FailureKind::Timeout, format!("connection timed out {when}"));
        }
        _ => return ProbeError::new(kind, format!("{} {when}", system_message(error))),
    };
    ProbeError::new(kind, format!("{what} {when}"))
}

/// Classifies an error of TLS.
fn tls_error(error: &rustls::Error) -> ProbeError {
    use rustls::Error as Tls;
    let message = match error {
        Tls::InvalidCertificate(error) => certificate_message(error),
        Tls::AlertReceived(alert) => alert_message(*alert),
        Tls::InvalidMessage(_) => "the reply is not TLS (does this port want http?)".to_owned(),
        Tls::NoCertificatesPresented => "the server shows no certificate".to_owned(),
        Tls::PeerIncompatible(why) => format!("no TLS version or cipher in common ({why:?})"),
        Tls::UnsupportedNameType => "the server name is of no use for TLS".to_owned(),
        other => format!("TLS: {other}"),
    };
    ProbeError::new(FailureKind::Tls, message)
}

fn certificate_message(error: &CertificateError) -> String {
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
            // Each name has the form `DnsName("a.example")`.
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
        // This is webpki's message for a self-signed certificate that says it is an authority.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "certificate is an authority's own, not a server's (self-signed?)".to_owned()
        }
        other => format!("certificate is not valid ({other})"),
    }
}

/// Returns the text between quotation marks, if there are any.
fn unwrapped(name: &str) -> &str {
    name.split('"').nth(1).unwrap_or(name)
}

fn alert_message(alert: AlertDescription) -> String {
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
        let check = |errno: Errno, phase: ProbePhase, at: &str, kind: FailureKind, words: &str| {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            let cause = request_error(&error, phase, Some(&peer(at)));
            assert_eq!(
                (cause.kind, cause.message.as_str()),
                (kind, words),
                "{errno} {at}"
            );
            cause
        };
        let (four, six) = ("127.0.0.1:80", "[2001:db8::1]:80");
        for phase in [
            ProbePhase::Connect,
            ProbePhase::Handshake,
            ProbePhase::Head,
            ProbePhase::Body,
        ] {
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
        let connect = ProbePhase::Connect;
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
            ProbePhase::Handshake,
            four,
            Tls,
            "connection reset during the TLS handshake",
        );
        check(
            Errno::PIPE,
            ProbePhase::Head,
            four,
            Protocol,
            "connection closed before an answer",
        );
        check(
            Errno::TIMEDOUT,
            ProbePhase::Body,
            four,
            Timeout,
            "connection timed out in the middle of the body",
        );
        check(
            Errno::IO,
            ProbePhase::Body,
            four,
            Protocol,
            "Input/output error in the middle of the body",
        );
    }
}
