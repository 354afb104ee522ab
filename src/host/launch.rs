//! Starts a program so that it outlives healthctl: below a keeper, in a session without a terminal, its output in a file,
//! recorded before it runs.
//!
//! A second run of healthctl becomes the [`keeper`], and a third one, [`stand_in`], the program: that alone
//! knows its pid before the program runs, so it writes the record and only then executes the program in its own place.
//! Whenever one of them is killed, either nothing was started or a record names it.

use std::convert::Infallible;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use rustix::fs::{Access, access};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getppid, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;

use super::descendants;
use super::descriptors::original_descriptor_limit;
use super::interpreter::{missing_interpreter, missing_script};
use super::keeper::{self, is_keeper};
use super::process::process;
use super::records::{Record, RecordError, RecordKey, Records, file_id};
use crate::health::Process;
use crate::text;

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
    /// The fingerprint of its sources, where the inventory names some.
    pub(crate) sources: Option<String>,
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

/// Starts a program by another run of healthctl, which is `program`, and returns the record of its process, which may have
/// ended already. After this it runs and is recorded, or nothing was started.
///
/// # Errors
/// Why it could not be started, for people.
pub(crate) async fn launch(
    program: &Path,
    records: &Records,
    order: &StartOrder,
) -> Result<Record, String> {
    if order.log == records.default_log(&order.key) {
        records.make_logs().map_err(|error| error.to_string())?;
    }
    let (log, log_offset) = open_log(&order.log).map_err(|error| no_log(order, &error))?;
    let task = task(records, order, log_offset).map_err(|error| error.to_string())?;
    let task = serde_json::to_vec(&task).map_err(|error| error.to_string())?;
    let starts = std::path::absolute(records.starts(&order.key));
    let starts = starts.map_err(|error| error.to_string())?;
    let mut command = tokio::process::Command::from(keeper::command(program, &starts));
    command
        .env_remove(descendants::VARIABLE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::from(log));
    let mut child = command
        .spawn()
        .map_err(|error| format!("no process could be started: {error}"))?;
    drop(command);
    let reported = send_task(&mut child, &task)
        .await
        .map_err(|error| format!("the program to run could not be passed on: {error}"))?;
    let (recorded, failure) = reported.split_once('\n').unwrap_or((reported.as_str(), ""));
    let record: Option<Record> = serde_json::from_str(recorded).ok();
    let why = match record {
        Some(record) if failure.is_empty() => return Ok(record),
        Some(_) => failure,
        None => &reported,
    };
    // Its keeper ends with it.
    let _ = child.wait().await;
    if reported.is_empty() {
        return Err("it or its keeper was killed before it was recorded".to_owned());
    }
    Err(text::clean(why.trim(), 400))
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
    if program.contains('/') {
        runnable(Path::new(program)).map_err(|why| {
            let elsewhere = if why == NO_FILE {
                in_directory(program, &cwd)
            } else {
                String::new()
            };
            cannot_run(shown, &(why + &elsewhere))
        })?;
        return has_interpreter(Path::new(program), order, &cwd);
    }
    match find_command(program, order, &cwd) {
        Some(file) => has_interpreter(&file, order, &cwd),
        None => Err(cannot_run(shown, NO_COMMAND)),
    }
}

/// Makes the log of a start, with its directory.
///
/// # Errors
/// Why it cannot be written, for people.
pub(crate) fn make_log(records: &Records, order: &StartOrder) -> Result<(), String> {
    if order.log == records.default_log(&order.key) {
        records.make_logs().map_err(|error| error.to_string())?;
    }
    let opened = open_log(&order.log);
    opened.map(|_| ()).map_err(|error| no_log(order, &error))
}

fn no_log(order: &StartOrder, error: &io::Error) -> String {
    format!("its log {} cannot be written: {error}", order.log.display())
}

/// Finds a command as the kernel's library does: from where the program will run, and past what may not be executed.
fn find_command(command: &str, order: &StartOrder, cwd: &Path) -> Option<PathBuf> {
    let path_variable = order.env.iter().find(|(name, _)| name == "PATH");
    let own = std::env::var_os("PATH").map(|path| path.to_string_lossy().into_owned());
    let searched = path_variable.map(|(_, path)| path.clone()).or(own);
    let searched = searched.unwrap_or_else(|| "/bin:/usr/bin".to_owned());
    let mut places = std::env::split_paths(&searched).map(|place| cwd.join(place).join(command));
    places.find(|file| runnable(file).is_ok())
}

/// Checks that the interpreter of a script is there, and so is the script that an interpreter is to run.
fn has_interpreter(file: &Path, order: &StartOrder, cwd: &Path) -> Result<(), String> {
    let is_command = |command: &str| find_command(command, order, cwd).is_some();
    let missing = missing_interpreter(file, is_command);
    match missing.or_else(|| missing_script(&order.command, cwd)) {
        Some(why) => Err(cannot_run(
            order.shown.first().map_or("", String::as_str),
            &why,
        )),
        None => Ok(()),
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
    let there = there.ok_or("there is no such directory")?;
    let access = access(there, Access::WRITE_OK);
    access.map_err(|errno| format!("{}: {}", there.display(), io::Error::from(errno)))?;
    if there != path && !there.is_dir() {
        return Err(format!("{} is no directory", there.display()));
    }
    Ok(())
}

/// Sends the task, and returns all that the stand-in writes until the program runs.
async fn send_task(child: &mut Child, task: &[u8]) -> io::Result<String> {
    let missing = || io::Error::other("no pipe");
    let mut input = child.stdin.take().ok_or_else(missing)?;
    let mut output = child.stdout.take().ok_or_else(missing)?;
    let mut output_text = Vec::new();
    let hand_over = async {
        let written = input.write_all(task).await;
        drop(input);
        match written {
            // It has ended early and says why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    };
    let (written, read) = tokio::join!(hand_over, output.read_to_end(&mut output_text));
    written?;
    read?;
    Ok(String::from_utf8_lossy(&output_text).into_owned())
}

fn task(records: &Records, order: &StartOrder, log_offset: u64) -> io::Result<LaunchTask> {
    let mut order = order.clone();
    if let Some(program) = order.command.first_mut()
        && program.contains('/')
    {
        *program = std::path::absolute(&*program)?.display().to_string();
    }
    // The stand-in runs in another directory.
    order.key.make_absolute()?;
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
    std::path::absolute(path.join("."))
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

/// Records this process, and executes the program in its place. Returns only where that fails.
pub(crate) fn stand_in() -> ExitCode {
    let Err(why) = carry_out_task();
    report(&why);
    ExitCode::FAILURE
}

/// Writes a line to the run that has started this one; that it may have ended changes nothing.
fn report(line: &str) {
    let mut out = io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn carry_out_task() -> Result<Infallible, String> {
    let mut bytes = Vec::new();
    let task = io::stdin()
        .read_to_end(&mut bytes)
        .and_then(|_| Ok(serde_json::from_slice::<LaunchTask>(&bytes)?))
        .map_err(|error| format!("what to start cannot be read: {error}"))?;
    let records = Records::new(&task.state);
    let order = &task.order;
    // The lock is released when the program runs. The run that sent the task may have been killed meanwhile, and another one
    // be at work.
    let (_alone, recorded) = record(&records, &task)?;
    report(&recorded);
    let why = not_run(order, &run_program(order));
    // It never ran, so nothing is to be remembered of it.
    if let Some(own) = process(std::process::id()) {
        records.forget_start(&order.key, own.process);
    }
    Err(match records.forget(&order.key) {
        Ok(()) => why,
        Err(error) => format!("{why}; {error}"),
    })
}

/// Writes the record, which it returns as one line, where no other run has started the service.
fn record(records: &Records, task: &LaunchTask) -> Result<(File, String), String> {
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
    let why = |error: RecordError| error.to_string();
    let alone = records.starting(key).map_err(why)?;
    if let Some(earlier) = records.read(key).map_err(why)? {
        let other = earlier.running().map(|other| other.process);
        if let Some(other) = other.or(earlier.may_run().then_some(earlier.process)) {
            return Err(format!("pid {} was started meanwhile", other.pid));
        }
    }
    let record = Record {
        entry: order.entry.clone(),
        command: order.shown.clone(),
        log: order.log.clone(),
        log_offset: task.log_offset,
        // The log is this process's standard error, whatever stands at its path now.
        log_file: file_id(Path::new("/proc/self/fd/2")),
        keeper: Some(own_keeper()?),
        sources: order.sources.clone(),
        ..Record::new(key, own)
    };
    records.note_start(key, &record).map_err(why)?;
    records.write(key, &record).map_err(why)?;
    let line = serde_json::to_string(&record).map_err(|error| error.to_string())?;
    Ok((alone, line))
}

/// Returns the keeper, which has started this process.
fn own_keeper() -> Result<Process, String> {
    let parent = getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    let parent = parent.and_then(process).map(|parent| parent.process);
    let keeper = parent.filter(|parent| is_keeper(*parent));
    keeper.ok_or_else(|| "its keeper was killed".to_owned())
}

/// Executes the program in place of this process. Returns only where that fails.
fn run_program(order: &StartOrder) -> io::Error {
    let Some((program, arguments)) = order.command.split_first() else {
        return io::Error::other("the command is empty");
    };
    // The pipe for the report has to close when the program runs, and must still be open when it cannot.
    let pipe = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3);
    let log = io::stderr().as_fd().try_clone_to_owned();
    let (pipe, log) = match (pipe, log) {
        (Ok(pipe), Ok(log)) => (pipe, log),
        (Err(errno), _) => return errno.into(),
        (_, Err(error)) => return error,
    };
    // The program must not inherit a lock or a pipe of the caller of healthctl, which it outlives.
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
        io::ErrorKind::NotFound
            if let Some(why) = missing_interpreter(Path::new(&program), |_| true) =>
        {
            why
        }
        io::ErrorKind::NotFound if program.contains('/') => {
            NO_FILE.to_owned() + &in_directory(&shown, &order.cwd)
        }
        io::ErrorKind::NotFound => NO_COMMAND.to_owned(),
        io::ErrorKind::PermissionDenied => NOT_EXECUTABLE.to_owned(),
        _ => error.to_string(),
    };
    cannot_run(&shown, &why)
}
