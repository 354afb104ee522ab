//! Starts a program so that it outlives healthctl: in a session of its own, its output in a file, recorded before it runs.
//!
//! A second run of healthctl, [`stand_in`], starts it: that alone knows its pid before the program runs, so it writes the
//! record and only then executes the program in its own place. Whenever healthctl is killed, either nothing was started or a
//! record names it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::process::Child;

use super::descriptors::original_descriptor_limit;
use super::offspring;
use super::process::process;
use super::records::{Record, RecordError, RecordKey, Records};
use crate::text;

/// The argument that makes a run of healthctl the stand-in.
pub(crate) const WORD: &str = "stand-in";

/// The number of bytes in which the first lines of a log are looked for, and the last.
const MOST: u64 = 64 * 1024;
/// The number of its first lines that are shown.
const LINES: usize = 20;
/// The number of its last lines that are shown, where there are more.
const LAST: usize = 5;

/// A program to start, with all that the start needs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StartOrder {
    pub(crate) key: RecordKey,
    /// Program and arguments, without a shell. A program with a `/` is relative to the current directory.
    pub(crate) command: Vec<String>,
    /// The command as it is shown.
    pub(crate) shown: Vec<String>,
    /// The variables that are added to the environment, secrets among them.
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: PathBuf,
    /// The file for its output, which is appended to; created with its directories where it is missing.
    pub(crate) log: PathBuf,
    /// The fingerprint of the `start` entry of the inventory.
    pub(crate) entry: String,
}

/// A program that was started.
#[derive(Debug)]
pub(crate) struct LaunchedProcess {
    /// The record of its process, which may have ended already.
    pub(crate) record: Record,
    /// The process, to learn its exit; dropping it leaves the process alone.
    pub(crate) child: Child,
}

/// The task of the stand-in, which it reads from a pipe: secrets are in it.
#[derive(Debug, Serialize, Deserialize)]
struct LaunchTask {
    state: PathBuf,
    order: StartOrder,
    log_offset: u64,
    /// The limit of open files that healthctl was given itself, where it has raised that since.
    descriptors: Option<u64>,
}

/// Returns the path at which this program can be run again, even where its file was replaced meanwhile.
pub(crate) fn own_program() -> Option<PathBuf> {
    let own = Path::new("/proc/self/exe");
    if own.exists() {
        return Some(own.to_owned());
    }
    std::env::current_exe().ok()
}

/// Starts a program by another run of healthctl, which is `program`. After this it runs and is recorded, or nothing was
/// started.
///
/// # Errors
/// Why it could not be started, for people.
pub(crate) async fn launch(
    program: &Path,
    records: &Records,
    order: &StartOrder,
) -> Result<LaunchedProcess, String> {
    if order.log == records.default_log(&order.key) {
        records.make_logs().map_err(|error| error.to_string())?;
    }
    let (log, log_offset) = open_log(&order.log)
        .map_err(|error| format!("its log {} cannot be written: {error}", order.log.display()))?;
    let task = task(records, order, log_offset).map_err(|error| error.to_string())?;
    let task = serde_json::to_vec(&task).map_err(|error| error.to_string())?;
    let mut command = tokio::process::Command::new(program);
    command
        .arg0("healthctl")
        .arg(WORD)
        .env_remove(offspring::VARIABLE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::from(log));
    let mut child = command
        .spawn()
        .map_err(|error| format!("no process for it: {error}"))?;
    drop(command);
    let told = tell(&mut child, &task)
        .await
        .map_err(|error| format!("it cannot be told what to run: {error}"))?;
    let (recorded, failure) = told.split_once('\n').unwrap_or((told.as_str(), ""));
    let record: Option<Record> = serde_json::from_str(recorded).ok();
    match (record, failure) {
        (Some(record), "") => Ok(LaunchedProcess { record, child }),
        (recorded, failure) => {
            let status = child.wait().await;
            let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            Err(match (recorded, failure) {
                (None, "") if told.is_empty() => {
                    format!("it ended before it was recorded ({status})")
                }
                (None, _) => text::clean(told.trim(), 400),
                (Some(_), failure) => text::clean(failure.trim(), 400),
            })
        }
    }
}

/// Checks a start as far as possible without starting or changing anything: a service is not to be stopped for a start that
/// cannot be.
///
/// # Errors
/// Why it could not be started, for people.
pub(crate) fn startable(records: &Records, order: &StartOrder) -> Result<(), String> {
    writable(&records.services())
        .map_err(|why| format!("what is started could not be recorded: {why}"))?;
    writable(&order.log)
        .and_then(|()| is_log(&order.log).map_err(|error| error.to_string()))
        .map_err(|why| format!("its log could not be written: {why}"))?;
    let cwd = directory(&order.cwd).map_err(|error| error.to_string())?;
    if !cwd.is_dir() {
        return Err(no_directory(&cwd));
    }
    let first = |words: &[String]| words.first().cloned().unwrap_or_default();
    let (program, shown) = (&first(&order.command), &first(&order.shown));
    let path_variable = order.env.iter().find(|(name, _)| name == "PATH");
    let path_variable = path_variable.map(|(_, path)| path.as_str());
    if program.contains('/') {
        return runnable(Path::new(program)).map_err(|why| {
            let elsewhere = if why == NO_FILE {
                in_directory(program, &cwd)
            } else {
                String::new()
            };
            cannot_run(shown, &(why + &elsewhere))
        });
    }
    let own = std::env::var_os("PATH").map(|path| path.to_string_lossy().into_owned());
    let searched = path_variable.map(str::to_owned).or(own);
    let searched = searched.unwrap_or_else(|| "/bin:/usr/bin".to_owned());
    // As the kernel's library looks for it: from where the program will run, and past what may not be executed.
    let mut places = std::env::split_paths(&searched).map(|place| cwd.join(place).join(program));
    if places.any(|file| runnable(&file).is_ok()) {
        Ok(())
    } else {
        Err(cannot_run(shown, NO_COMMAND))
    }
}

/// Checks that a file can be executed.
fn runnable(file: &Path) -> Result<(), String> {
    match access(file, Access::EXEC_OK) {
        Ok(()) if file.is_file() => Ok(()),
        Ok(()) => Err("it is not a file".to_owned()),
        Err(Errno::NOENT | Errno::NOTDIR) => Err(NO_FILE.to_owned()),
        Err(Errno::ACCESS) => Err(NOT_EXECUTABLE.to_owned()),
        Err(errno) => Err(io::Error::from(errno).to_string()),
    }
}

/// Checks that a file can be written, or created where it is missing.
fn writable(path: &Path) -> Result<(), String> {
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    let there = path.ancestors().find(|path| path.exists());
    let there = there.ok_or("there is no such place")?;
    let access = access(there, Access::WRITE_OK);
    access.map_err(|errno| format!("{}: {}", there.display(), io::Error::from(errno)))?;
    if there != path && !there.is_dir() {
        return Err(format!("{} is no directory", there.display()));
    }
    Ok(())
}

/// Sends the task, and returns all that the stand-in writes until the program runs.
async fn tell(child: &mut Child, task: &[u8]) -> io::Result<String> {
    let missing = || io::Error::other("no pipe");
    let mut input = child.stdin.take().ok_or_else(missing)?;
    let mut output = child.stdout.take().ok_or_else(missing)?;
    let mut said = Vec::new();
    let hand_over = async {
        let written = input.write_all(task).await;
        drop(input);
        match written {
            // It has ended early and says why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    };
    let (written, read) = tokio::join!(hand_over, output.read_to_end(&mut said));
    written?;
    read?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

fn task(records: &Records, order: &StartOrder, log_offset: u64) -> io::Result<LaunchTask> {
    let mut order = order.clone();
    if let Some(program) = order.command.first_mut()
        && program.contains('/')
    {
        *program = std::path::absolute(&*program)?.display().to_string();
    }
    order.cwd = directory(&order.cwd)?;
    order.log = std::path::absolute(&order.log)?;
    Ok(LaunchTask {
        state: std::path::absolute(records.directory())?,
        order,
        log_offset,
        descriptors: original_descriptor_limit(),
    })
}

/// Returns the absolute path of a directory; an empty path is the current one.
fn directory(path: &Path) -> io::Result<PathBuf> {
    if path == Path::new("") {
        return std::env::current_dir();
    }
    std::path::absolute(path)
}

/// Opens a log to append to it, and returns its length in bytes.
fn open_log(path: &Path) -> io::Result<(File, u64)> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    is_log(path)?;
    let log = OpenOptions::new().append(true).create(true).open(path)?;
    let length = log.metadata()?.len();
    Ok((log, length))
}

/// Checks that an existing file can be a log: a pipe that nobody reads would block.
fn is_log(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(there) if !there.is_file() && !there.file_type().is_char_device() => {
            Err(io::Error::other("it is not a regular file"))
        }
        _ => Ok(()),
    }
}

/// Returns the lines that were written to a log after `offset`, cleaned: the first ones and, where there are more, how many
/// follow and the last of them, as some programs say at the end what went wrong. Empty where the log cannot be read.
pub(crate) async fn excerpt(log: &Path, offset: u64) -> Vec<String> {
    let read = async {
        let mut file = tokio::fs::File::open(log).await?;
        let metadata = file.metadata().await?;
        let length = metadata.len().saturating_sub(offset);
        if !metadata.is_file() {
            return Ok((Vec::new(), Vec::new()));
        }
        let mut read = async |from: u64| {
            file.seek(io::SeekFrom::Start(from)).await?;
            let mut bytes = Vec::new();
            (&mut file).take(MOST).read_to_end(&mut bytes).await?;
            Ok::<_, io::Error>(bytes)
        };
        let first = read(offset).await?;
        let last = match length.checked_sub(MOST) {
            Some(further) if further > 0 => read(offset.saturating_add(further)).await?,
            _ => Vec::new(),
        };
        Ok::<_, io::Error>((first, last))
    };
    let (first, last) = read.await.unwrap_or_default();
    shortened(
        &String::from_utf8_lossy(&first),
        &String::from_utf8_lossy(&last),
    )
}

/// Shortens a text that is known whole, or by its beginning and its end.
fn shortened(first: &str, last: &str) -> Vec<String> {
    let clean = |line: &str| text::clean(line, 300);
    let lines: Vec<&str> = first.lines().collect();
    let mut told: Vec<String> = lines.iter().take(LINES).copied().map(clean).collect();
    let left = lines.get(LINES..).unwrap_or_default();
    let (count, ends): (Option<usize>, Vec<&str>) = if last.is_empty() {
        (Some(left.len()), left.to_vec())
    } else {
        (None, last.lines().collect())
    };
    let shown = ends.len().min(LAST);
    match count {
        Some(count) if count > shown => {
            told.push(format!("… {} lines later:", count.saturating_sub(shown)));
        }
        None => told.push("… much later:".to_owned()),
        Some(_) => {}
    }
    told.extend(
        ends.iter()
            .skip(ends.len().saturating_sub(shown))
            .copied()
            .map(clean),
    );
    told
}

/// Leaves the session, records this process, and executes the program in its place. Returns only where that fails.
pub(crate) fn stand_in() -> ExitCode {
    // What is told here is read by the one who has started us; that it has ended meanwhile changes nothing.
    let mut out = io::stdout();
    let say = |out: &mut io::Stdout, words: &str| {
        let _ = writeln!(out, "{words}").and_then(|()| out.flush());
    };
    let mut told = Vec::new();
    let task = io::stdin()
        .read_to_end(&mut told)
        .and_then(|_| Ok(serde_json::from_slice::<LaunchTask>(&told)?));
    let task = match task {
        Ok(task) => task,
        Err(error) => {
            say(&mut out, &format!("what to start cannot be read: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let records = Records::new(&task.state);
    let order = &task.order;
    // Closed when the program runs. The one who told us may have been killed meanwhile, and another be at work.
    let (_alone, recorded) = match record(&records, &task) {
        Ok(recorded) => recorded,
        Err(why) => {
            say(&mut out, &why);
            return ExitCode::FAILURE;
        }
    };
    say(&mut out, &recorded);
    let error = run_program(order);
    let why = not_run(order, &error);
    // It never ran, so nothing is to be remembered of it.
    if let Err(error) = records.forget(&order.key) {
        say(&mut out, &format!("{why}; {error}"));
    } else {
        say(&mut out, &why);
    }
    ExitCode::FAILURE
}

/// Leaves the session and writes the record, which it returns as one line, where no other run has started the service.
fn record(records: &Records, task: &LaunchTask) -> Result<(File, String), String> {
    setsid().map_err(|errno| format!("no session of its own: {errno}"))?;
    if let Some(soft) = task.descriptors {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let limit = Rlimit {
            current: Some(maximum.map_or(soft, |most| most.min(soft))),
            maximum,
        };
        // With a higher limit it runs as well; only what counts up to it takes longer.
        let _ = setrlimit(Resource::Nofile, limit);
    }
    let order = &task.order;
    let key = &order.key;
    let own = process(std::process::id())
        .ok_or("starting is not available here: needs /proc")?
        .process;
    let told = |error: RecordError| error.to_string();
    let alone = records.starting(key).map_err(told)?;
    if let Some(other) = records.read(key).map_err(told)?.and_then(|it| it.running()) {
        return Err(format!("pid {} was started meanwhile", other.process.pid));
    }
    let record = Record {
        entry: order.entry.clone(),
        command: order.shown.clone(),
        log: order.log.clone(),
        log_offset: task.log_offset,
        ..Record::new(key, own)
    };
    records.write(key, &record).map_err(told)?;
    let line = serde_json::to_string(&record).map_err(|error| error.to_string())?;
    Ok((alone, line))
}

/// Executes the program in place of this process. Returns only where that fails.
fn run_program(order: &StartOrder) -> io::Error {
    let Some((program, arguments)) = order.command.split_first() else {
        return io::Error::other("the command is empty");
    };
    // The pipe that we report to has to close when the program runs, and must be open still when it cannot.
    let pipe = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3);
    let log = io::stderr().as_fd().try_clone_to_owned();
    let (pipe, log) = match (pipe, log) {
        (Ok(pipe), Ok(log)) => (pipe, log),
        (Err(errno), _) => return errno.into(),
        (_, Err(error)) => return error,
    };
    // What whoever called us had open, a lock or a pipe, is not for a program that outlives all of it.
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
    let error = std::process::Command::new(program)
        .args(arguments)
        .envs(order.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&order.cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::from(log))
        .exec();
    // Our standard output is the log by now.
    if let Err(errno) = rustix::stdio::dup2_stdout(&pipe) {
        return errno.into();
    }
    error
}

/// Suggests a program beside the service, as a program is named relative to the inventory.
fn in_directory(program: &str, cwd: &Path) -> String {
    let there = Path::new(program).file_name().map(|name| cwd.join(name));
    match there.filter(|path| path.is_file()) {
        Some(path) => format!("; is {} meant?", path.display()),
        None => String::new(),
    }
}

const NO_FILE: &str = "there is no such file";
const NO_COMMAND: &str = "there is no such command in PATH";
const NOT_EXECUTABLE: &str = "it may not be executed";

fn cannot_run(program: &str, why: &str) -> String {
    format!("cannot run `{program}`: {why}")
}

fn no_directory(path: &Path) -> String {
    format!("there is no directory {}", path.display())
}

/// Says why the program does not run. The kernel reports a missing directory like a missing program.
fn not_run(order: &StartOrder, error: &io::Error) -> String {
    let first = |words: &[String]| words.first().cloned().unwrap_or_default();
    let (program, shown) = (first(&order.command), first(&order.shown));
    if !order.cwd.is_dir() {
        return no_directory(&order.cwd);
    }
    let why = match error.kind() {
        io::ErrorKind::NotFound if program.contains('/') => {
            NO_FILE.to_owned() + &in_directory(&shown, &order.cwd)
        }
        io::ErrorKind::NotFound => NO_COMMAND.to_owned(),
        io::ErrorKind::PermissionDenied => NOT_EXECUTABLE.to_owned(),
        _ => error.to_string(),
    };
    cannot_run(&shown, &why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(numbers: std::ops::RangeInclusive<u32>) -> String {
        let lines: Vec<String> = numbers.map(|number| format!("line {number}")).collect();
        lines.join("\n")
    }

    #[test]
    fn of_many_lines_the_first_and_the_last_are_told() {
        let told = |first: &str, last: &str| shortened(first, last).join("|");
        assert_eq!(told("", ""), "");
        assert_eq!(told("one\ntwo", ""), "one|two");
        let all = shortened(&lines(1..=25), "");
        assert_eq!(all.len(), 25, "{all:?}");
        let most = shortened(&lines(1..=27), "");
        assert_eq!(most[19..=21], ["line 20", "… 2 lines later:", "line 23"]);
        assert_eq!(most.last().map(String::as_str), Some("line 27"));
        let long = shortened(&lines(1..=40), "cut\nfive\nfour\nthree\ntwo\nlast\n");
        assert_eq!(
            long[20..],
            ["… much later:", "five", "four", "three", "two", "last"]
        );
    }
}
