//! Errors of TLS: certificates and alerts.

use rustls::{AlertDescription, CertificateError};

use crate::health::FailureKind;

use super::Cause;

/// What is wrong with the encryption.
pub(super) fn explain(error: &rustls::Error) -> Cause {
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
