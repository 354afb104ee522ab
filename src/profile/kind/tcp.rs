//! Probes by TCP: a connection is enough.

use crate::yaml::{Entry, Problems};

use super::super::HostPort;
use super::super::annotated::AnnotatedYaml;
use super::super::raw::read::host_port;
use super::super::setting::{Levels, Spanned, strongest};
use super::context::{KindContext, ProbeAddress, ProbeSpec, RawKind};

/// The address of a TCP probe as written.
#[derive(Debug, Clone)]
pub(crate) struct RawTcp(Spanned<HostPort>);

impl RawKind for RawTcp {
    type Spec = HostPort;

    const KEYS: &'static [&'static str] = &[];

    fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        host_port(&entry.value, problems).map(Self)
    }

    fn resolve(
        levels: Levels<'_, '_, Self>,
        _context: &KindContext<'_>,
        _problems: &mut Problems,
    ) -> Option<HostPort> {
        strongest(levels, |raw| Some(&raw.0)).map(|address| address.value.clone())
    }

    fn show(
        spec: &HostPort,
        levels: Levels<'_, '_, Self>,
        _context: &KindContext<'_>,
        out: &mut AnnotatedYaml,
    ) {
        if let Some(address) = strongest(levels, |raw| Some(&raw.0)) {
            out.leaf("tcp", spec.target(), address.origin);
        }
    }
}

impl ProbeSpec for HostPort {
    fn target(&self) -> String {
        let Self { host, port } = self;
        if host.contains(':') {
            format!("[{host}]:{port}")
        } else {
            format!("{host}:{port}")
        }
    }

    fn address(&self) -> Option<ProbeAddress<'_>> {
        Some(ProbeAddress::Tcp(self))
    }
}
