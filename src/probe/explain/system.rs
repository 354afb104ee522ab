//! Errors of the system: what it refused, and what it has run out of.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

use rustix::io::Errno;

use crate::health::FailureKind;
use crate::probe::trail::Peer;

use super::Cause;

/// The system's words without its number for them.
pub(in crate::probe) fn words(error: &io::Error) -> String {
    let words = error.to_string();
    match words.rfind(" (os error ") {
        Some(at) => words.get(..at).unwrap_or(&words).to_owned(),
        None => words,
    }
}

/// A failed name lookup.
pub(in crate::probe) fn lookup(host: &str, error: &io::Error) -> Cause {
    if let Some(cause) = exhausted(error) {
        return cause;
    }
    let words = words(error);
    let words = words
        .strip_prefix("failed to lookup address information: ")
        .unwrap_or(&words);
    Cause::new(FailureKind::Dns, format!("cannot look up {host}: {words}"))
}

/// What this machine has run out of.
pub(super) fn exhausted(error: &io::Error) -> Option<Cause> {
    Some(Cause::local(match Errno::from_io_error(error)? {
        Errno::MFILE => "no file descriptor left (see `ulimit -n`)",
        Errno::NFILE => "no file descriptor left on this machine",
        Errno::NOBUFS | Errno::NOMEM => "no memory left for a connection",
        _ => return None,
    }))
}

/// A connection that could not be made.
pub(super) fn connect(error: &io::Error, peer: Option<&Peer>) -> Cause {
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
pub(super) fn broken(kind: FailureKind, error: &io::Error, when: &str) -> Cause {
    let what = match error.kind() {
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => "connection reset",
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::WriteZero => "connection closed",
        io::ErrorKind::TimedOut => {
            return Cause::new(FailureKind::Timeout, format!("connection timed out {when}"));
        }
        _ => return Cause::new(kind, format!("{} {when}", words(error))),
    };
    Cause::new(kind, format!("{what} {when}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::explain::request;
    use crate::probe::trail::Phase;
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
}
