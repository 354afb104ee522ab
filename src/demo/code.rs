//! Small files that stand for the code of services: a touch makes one newer than the process that runs.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use super::fleet::FLEET;
use super::place::Place;
use super::{Error, program};

/// Writes them all, as old as this program, in which the code really is.
pub(super) fn write(place: &Place) -> Result<(), Error> {
    let program = program::path();
    let built = fs::metadata(&program)
        .and_then(|metadata| metadata.modified())
        .map_err(|error| Error::file("tell the age of", program, &error))?;
    for member in FLEET {
        for source in member.sources {
            let path = place.file(source);
            let text = format!(
                "# Stands for the code of {}: when this is newer than the process, that is stale.\n",
                member.name
            );
            dated(&path, &text, built).map_err(|error| Error::file("write", path, &error))?;
        }
    }
    Ok(())
}

fn dated(path: &Path, text: &str, time: SystemTime) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.set_modified(time)
}
