//! One service resolved, as YAML that could stand in an inventory, with the origin of each value.
//!
//! Secrets are shown as where they come from, or as `***`.

use crate::profile::annotated::AnnotatedYaml;
use crate::profile::raw::options::RawSharedSettings;
use crate::profile::setting::Level;

use super::load::LoadedInventory;
use super::probes;
use super::service::RawServiceSettings;

/// The first of the settings that are shown below the probes and actions.
const BELOW: &str = "start";

/// Returns the service of this name, if the inventory has it.
pub(crate) fn show(loaded: &LoadedInventory, name: &str) -> Option<String> {
    let service = loaded.inventory.services.get(name)?;
    let mut raws = loaded.raw.services.iter();
    let raw = raws.find(|raw| raw.name.value == name)?;
    let levels = loaded.levels(raw);
    let own = [(Level::Service { own: false }, &raw.settings)];
    let mut out = AnnotatedYaml::default();
    out.open("services", None);
    out.open(name, Some(raw.name.place.short()));
    for setting in RawServiceSettings::DECLARED {
        if setting.name == BELOW {
            for setting in RawSharedSettings::DECLARED {
                (setting.show)(&levels.shared(), &mut out);
            }
            out.open("probes", None);
            for probe in &service.probes {
                probes::show(&levels, probe, &mut out);
            }
            out.close();
            service.actions.show(&levels, &mut out);
        }
        (setting.show)(&own, &mut out);
    }
    Some(out.finish())
}
