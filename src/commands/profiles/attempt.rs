//! `--try`: a saved reply is judged by each probe of a profile; a URL is asked once for each probe.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::judged::Judged;
use crate::commands::{Context, Error};
use crate::host::Clock;
use crate::inventory::{AdHoc, AdHocTarget, AvailableProfile};
use crate::probe::Asker;
use crate::profile::{Captured, HttpResponse, Profile, judge};
use crate::text::clean;

/// As much of a reply as a probe would read, and a little more to tell that there is more.
const LARGEST: u64 = (1 << 20) + 1;

/// What a profile makes of a saved reply; without a name, what every one makes of it.
pub(super) fn file(
    named: Option<&AvailableProfile>,
    known: &[AvailableProfile],
    path: &str,
    probe: Option<&str>,
) -> Result<Vec<Judged>, Error> {
    let reply = Captured::parse(&read(Path::new(path))?);
    let profiles: Vec<&Profile> = match named {
        Some(offered) => offered.profile.as_deref().into_iter().collect(),
        None => known
            .iter()
            .filter_map(|offered| offered.profile.as_deref())
            .collect(),
    };
    let mut tries = Vec::new();
    for profile in profiles {
        for name in probes(profile, named.is_some(), probe)? {
            tries.push(judge_saved(profile, &name, &reply));
        }
    }
    Ok(tries)
}

/// The probes to try, in the order of the profile. Only a profile that is meant has to have the one asked for.
fn probes(profile: &Profile, meant: bool, wanted: Option<&str>) -> Result<Vec<String>, Error> {
    if profile.probes.is_empty() && meant {
        // It is for the probes of others: any name will do.
        return Ok(vec![wanted.unwrap_or("live").to_owned()]);
    }
    let known = profile.probes.keys();
    let Some(wanted) = wanted else {
        return Ok(known.cloned().collect());
    };
    let found: Vec<String> = known
        .clone()
        .filter(|name| *name == wanted)
        .cloned()
        .collect();
    if found.is_empty() && meant {
        let known: Vec<&str> = known.map(String::as_str).collect();
        return Err(Error::usage_hint(
            format!(
                "the profile `{}` has no probe `{}`",
                profile.name,
                clean(wanted, 80)
            ),
            format!("its probes: {}", known.join(", ")),
        ));
    }
    Ok(found)
}

fn judge_saved(profile: &Profile, probe: &str, reply: &Captured) -> Judged {
    let answer = HttpResponse {
        // A mere body is taken for that of a good answer.
        code: reply.code.unwrap_or(200),
        headers: &reply.headers,
        body: &reply.body,
        at: Clock::start().now(),
        latency: Duration::ZERO,
    };
    let decode = profile.decode_of(probe).map(Arc::as_ref);
    let judgement = judge(decode, &profile.expect_of(probe), &answer);
    Judged {
        profile: profile.name.clone(),
        probe: probe.to_owned(),
        asked: None,
        result: judgement.result,
        failure: judgement.failure,
        reading: judgement.reading,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let result = if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(LARGEST)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes))
    };
    let shown = clean(&path.display().to_string(), 200);
    let hint = "a reply as `curl -i` saves it, a mere body, `-`, or a URL";
    match result {
        Err(error) => Err(Error::usage_hint(
            format!("cannot read `{shown}`: {error}"),
            hint,
        )),
        Ok(_) if u64::try_from(bytes.len()).is_ok_and(|length| length >= LARGEST) => Err(
            Error::usage_hint(format!("`{shown}` is larger than 1 MiB"), hint),
        ),
        Ok(_) => Ok(bytes),
    }
}

/// What a profile makes of a running service: each of its probes is asked once.
pub(super) async fn url(
    context: &Context,
    named: Option<&AvailableProfile>,
    url: &str,
    probe: Option<&str>,
) -> Result<Vec<Judged>, Error> {
    let Some(offered) = named else {
        return Err(Error::usage_hint(
            "which profile should be tried on it?",
            "`healthctl profiles NAME --try URL`; `healthctl profiles` lists the names",
        ));
    };
    let Some(profile) = offered.profile.as_deref() else {
        return Ok(Vec::new());
    };
    let wanted = probes(profile, true, probe)?;
    let loaded = context.adhoc(&AdHoc {
        profile: Some(&offered.name),
        ..AdHoc::new(AdHocTarget::Url(url))
    })?;
    let asker = Asker::new(Clock::start());
    let mut tries = Vec::new();
    for service in loaded.inventory.services.values() {
        for probe in service
            .probes
            .iter()
            .filter(|probe| wanted.contains(&probe.name))
        {
            let outcome = asker.ask(service, probe).await;
            tries.push(Judged {
                profile: offered.name.clone(),
                probe: probe.name.clone(),
                asked: Some(probe.kind.target()),
                result: outcome.result,
                failure: outcome.failure,
                reading: outcome.reading,
            });
        }
    }
    Ok(tries)
}
