//! The closed sets of words that all views, reports and tests use.

/// Declares an enum whose variants have one fixed spelling on every output, and a reader for it.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The spelling used in reports, selectors and files.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            /// The variant with exactly this spelling.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.pad(self.as_str()) }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }
    };
}
pub(crate) use words as words_macro;

words! {
    /// The state of a service.
    #[derive(Default)]
    State {
        /// Nothing is known yet, or what is known does not tell.
        #[default]
        Unknown = "unknown",
        /// The service is starting; failures do not count yet.
        Starting = "starting",
        /// All that was asked is well.
        Healthy = "healthy",
        /// The service works, but something that it needs or reports does not.
        Degraded = "degraded",
        /// The process lives but takes no traffic.
        Unready = "unready",
        /// The process does not live, or something that it requires is broken.
        Unhealthy = "unhealthy",
        /// The service finishes its work before it stops.
        Draining = "draining",
        /// The service was asked to stop and does not answer any more.
        Stopped = "stopped",
    }
}

words! {
    /// Something else worth knowing; a flag never changes the state.
    Flag {
        /// The process is older than its sources, executable or start entry.
        Stale = "stale",
        /// Answers alternate between success and failure.
        Flapping = "flapping",
        /// Probing is switched off by hand.
        Paused = "paused",
        /// Probes of the service fail while a service that it depends on is down.
        Blocked = "blocked",
        /// A process that is not this service answers at its address.
        Foreign = "foreign",
        /// Two processes answer at one address in turn.
        Split = "split",
        /// A required dependency last succeeded too long ago.
        SuccessAge = "success-age",
        /// The certificate is about to expire.
        Certificate = "certificate",
        /// What healthctl started has ended by itself again and again.
        CrashLoop = "crash-loop",
    }
}

words! {
    /// The result of one probe.
    ProbeResult {
        /// Answered, and all is well.
        Pass = "pass",
        /// Answered, but degraded or with an erring dependency.
        Warn = "warn",
        /// The answer was bad, or there was none.
        Fail = "fail",
        /// Could not be told: not allowed to see, not readable, or a fault on our own side.
        Unknown = "unknown",
    }
}

words! {
    /// The status of a dependency, as the service reports it.
    #[derive(Default)]
    DependencyStatus {
        /// The dependency works.
        Working = "working",
        /// The dependency works, but badly.
        Degraded = "degraded",
        /// The dependency does not work.
        Error = "error",
        /// The dependency is switched off or not configured.
        NotUsed = "not_used",
        /// The service gave no word, or one that is not known.
        #[default]
        Unknown = "unknown",
    }
}

words! {
    /// The kind of failure of a probe.
    FailureKind {
        /// The time-out of the probe passed.
        Timeout = "timeout",
        /// The name did not resolve.
        Dns = "dns",
        /// The connection was refused or could not be made.
        Connect = "connect",
        /// The TLS handshake or the certificate failed.
        Tls = "tls",
        /// The reply is not in the expected protocol.
        Protocol = "protocol",
        /// The status code is not an accepted one.
        Status = "status",
        /// A redirect that may not be followed.
        Redirect = "redirect",
        /// The body is larger than allowed.
        BodyLimit = "body-limit",
        /// The body does not decode.
        Decode = "decode",
        /// An expectation of the inventory was not met.
        Expect = "expect",
        /// A command ended with a status other than 0, or by a signal.
        Exit = "exit",
        /// 401 or 403: not allowed to see.
        Auth = "auth",
        /// A gRPC status other than OK.
        Grpc = "grpc",
        /// A fault on our own side.
        Local = "local",
    }
}

words! {
    /// The cause of an automatic restart: the inventory's `restart_on:`.
    RestartCause {
        /// The process is older than its sources, its executable or its start entry.
        Stale = "stale",
        /// The liveness probe has failed; readiness never counts.
        Unhealthy = "unhealthy",
    }
}

words! {
    /// Files that a process reads again by itself: the inventory's `hot_reload:`.
    HotFiles {
        /// What its code is made of.
        Sources = "sources",
        /// Its configuration.
        ConfigFiles = "config_files",
    }
}

words! {
    /// The verdict of `check` on a service.
    CheckVerdict {
        /// The service is good.
        Pass = "pass",
        /// Degraded, and the inventory says that this is a warning.
        Warn = "warn",
        /// Could not be told.
        Unknown = "unknown",
        /// The service fails the check.
        Fail = "fail",
    }
}

words! {
    /// The verdict of `check` on a state that is not always a failure: the inventory's `degraded:` and `stopped:`.
    #[derive(Default)]
    VerdictPolicy {
        /// A failure (the default).
        #[default]
        Fail = "fail",
        /// The verdict is a warning.
        Warn = "warn",
        /// As good as healthy.
        Pass = "pass",
    }
}

impl ProbeResult {
    /// Pass and warn are successes: the service answered as it should, whatever it said.
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Pass | Self::Warn)
    }
}

impl VerdictPolicy {
    const fn verdict(self) -> CheckVerdict {
        match self {
            Self::Fail => CheckVerdict::Fail,
            Self::Warn => CheckVerdict::Warn,
            Self::Pass => CheckVerdict::Pass,
        }
    }
}

impl State {
    /// Returns a narrow character that says the same as the word, for those who do not see colour.
    pub const fn glyph(self) -> &'static str {
        match self {
            Self::Unknown => "?",
            Self::Starting => "…",
            Self::Healthy => "✓",
            Self::Degraded => "!",
            Self::Unready => "~",
            Self::Unhealthy => "✗",
            Self::Draining => "↓",
            Self::Stopped => "■",
        }
    }

    /// The check verdict of a service in this state.
    pub const fn verdict(self, degraded: VerdictPolicy, stopped: VerdictPolicy) -> CheckVerdict {
        match self {
            Self::Healthy => CheckVerdict::Pass,
            Self::Degraded => degraded.verdict(),
            Self::Stopped => stopped.verdict(),
            Self::Unready | Self::Unhealthy | Self::Draining => CheckVerdict::Fail,
            Self::Unknown | Self::Starting => CheckVerdict::Unknown,
        }
    }
}
