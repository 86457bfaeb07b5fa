//! The command line of `ecsx portforward`.

use std::ffi::OsString;

use clap::{Parser, ValueEnum};
use ecsx::plugin::exit;
use ecsx::resolve::Options;
use ecsx::session::forward::{Bind, FORMS, Spec, Wish};
use ecsx::ui::Failure;

use crate::presets::Flags;
use crate::words::Words;

/// Forward local ports into a running ECS task, or through it to hosts it can reach
///
/// The local port is bound first and stays until Ctrl-C: what is open survives a lost network;
/// when a deployment replaces the task, new connections go to another one.
#[derive(Debug, Parser)]
#[command(name = "ecsx-portforward", version, after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    words: Words,

    /// List the presets of ecsx.yml and do nothing else
    #[arg(long)]
    pub(crate) list: bool,

    /// Local port (0: a free one) of --remote-port, or of the one preset that is named
    #[arg(long, value_name = "PORT")]
    local_port: Option<u16>,

    /// Port of the container, or of --remote-host
    #[arg(long, visible_alias = "port", value_name = "PORT")]
    remote_port: Option<u16>,

    /// Host to go to, as the task sees it
    #[arg(long, visible_alias = "host", value_name = "HOST", requires = "remote_port")]
    remote_host: Option<String>,

    /// Address to listen on (default: 127.0.0.1 and ::1). May be repeated
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    address: Vec<String>,

    /// Listen on all addresses: anybody who reaches this machine reaches the remote port
    #[arg(long, conflicts_with = "address")]
    public: bool,

    /// Print events on stdout, a line of JSON each; the last is exit, an error comes before it
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<Format>,

    // `ecspresso exec --port-forward …`, as people have it in their fingers.
    #[arg(long, hide = true)]
    port_forward: bool,

    // As ssh users type it: there is no remote command anyway.
    #[arg(short = 'N', hide = true)]
    no_command: bool,

    /// Command to run once the ports are ready; its exit code becomes ours
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,

    // Last: clap puts what follows under the heading of its options.
    #[command(flatten)]
    pub(crate) options: Options,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Json,
}

const EXAMPLES: &str = "\
Examples:
  ecsx portforward 8080                           the container's own port 8080 on localhost:8080
  ecsx portforward 9000:8080                      the same on localhost:9000
  ecsx portforward -L 15432:db.internal:5432      db.internal, as the task sees it, on localhost:15432
  ecsx portforward -L :db.internal:5432 -- psql   on a free port, for one command
  ecsx portforward db redis                       by name, as ecsx.yml has them
  ecsx portforward 25432:db                       by name, on another local port (:db: a free one)

A COMMAND finds the first port as typed in ECSX_LOCAL_HOST, ECSX_LOCAL_PORT and ECSX_LOCAL_ADDR (the others
in ECSX_LOCAL_PORT_2 …), in PGHOST and PGPORT, in MYSQL_HOST and MYSQL_TCP_PORT, and where its
arguments say {host}, {port}, {addr} ({port2} …).

Exit codes: 0 after Ctrl-C or SIGTERM, which are how a forward is ended; 1 something failed, a local
port in use among it; 2 wrong arguments. With a COMMAND its own, or 125 ecsx failed (or what it sent did
not arrive), 126 it cannot be run, 127 it is not there, 130 and 143 interrupted before it was started.";

impl Args {
    pub(crate) fn json(&self) -> bool {
        self.output == Some(Format::Json)
    }

    /// What to forward, as typed; a word that is no port names a preset.
    pub(crate) fn wishes(&self) -> Result<Vec<Wish>, Failure> {
        let mut wishes = self.words.0.iter().map(|word| Wish::parse(word)).collect::<Result<Vec<_>, _>>()?;
        match (self.remote_port, self.local_port, &mut wishes[..]) {
            (None, None, _) => {}
            (Some(0), ..) => return Err(usage("0 is no remote port")),
            (Some(port), local, _) => {
                let spec = Spec::new(None, local.unwrap_or(0), self.remote_host.as_deref(), port);
                wishes.push(Wish::Spec(spec?));
            }
            (None, Some(port), [Wish::Preset { local_port: own @ None, .. }]) => *own = Some(port),
            (None, Some(_), _) => {
                return Err(usage("--local-port without --remote-port")
                    .hint("say where to: --remote-port PORT, or the name of one preset"));
            }
        }
        if wishes.is_empty() {
            return Err(usage("nothing to forward").hint(FORMS).hint("--list shows the presets of ecsx.yml"));
        }
        Ok(wishes)
    }

    /// What is over a preset's own.
    pub(crate) fn flags(&self) -> Result<Flags, Failure> {
        let container = self.options.container.clone().filter(|name| !name.is_empty());
        Ok(Flags { bind: self.bind()?, container })
    }

    /// The addresses that the flags name, if any.
    fn bind(&self) -> Result<Option<Bind>, Failure> {
        if self.public {
            return Ok(Some(Bind::Public));
        }
        let bind = |text: &String| Bind::parse(text).ok_or_else(|| not_local(text));
        match &self.address[..] {
            [] => Ok(None),
            [one] => bind(one).map(Some),
            several => several.iter().map(bind).collect::<Result<_, _>>().map(|all| Some(Bind::Several(all))),
        }
    }
}

pub(crate) fn usage(message: impl Into<String>) -> Failure {
    Failure::new(message).code(exit::USAGE)
}

/// For an address that is none, and for one that is somebody else's.
pub(crate) fn not_local(text: &str) -> Failure {
    usage(format!("\"{text}\" is no address of this machine"))
        .hint("listen on an IP address of this machine, localhost, or * for all")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presets::Asked;
    use clap::CommandFactory;

    fn specs(words: &[&str]) -> Result<Vec<(Bind, Spec)>, String> {
        let args =
            Args::try_parse_from([&["ecsx-portforward"], words].concat()).map_err(|e| e.to_string())?;
        let chosen = args.wishes().and_then(|wishes| {
            crate::presets::choose(wishes, args.flags()?, &ecsx::project::Project::default())
        });
        let specs = |asked: Vec<Asked>| asked.into_iter().map(|asked| (asked.bind, asked.spec)).collect();
        chosen.map(|chosen| specs(chosen.asked)).map_err(|failure| failure.error().to_string())
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_help_puts_every_word_where_it_belongs() {
        let help = Args::command().render_help().to_string();
        let arguments = help.split("Options:").next().unwrap();
        assert!(arguments.contains("[FORWARD]...") && arguments.contains("[COMMAND]..."), "{help}");
    }

    #[test]
    fn every_tools_spelling_means_the_same() {
        let expected = specs(&["-L", "15432:db:5432"]).unwrap();
        for words in [
            &["--local-port", "15432", "--remote-port", "5432", "--remote-host", "db"][..],
            &["--port-forward", "--local-port", "15432", "--port", "5432", "--host", "db"],
            &["15432:db:5432"],
        ] {
            assert_eq!(specs(words), Ok(expected.clone()), "{words:?}");
        }
    }

    #[test]
    fn what_is_typed_first_comes_first() {
        let ports = |words: &[&str]| {
            let specs = specs(words).unwrap();
            specs.iter().map(|(_, spec)| spec.remote.port).collect::<Vec<_>>()
        };
        assert_eq!(ports(&["1", "-L", ":db:2", "3", "-L:db:4"]), [1, 2, 3, 4]);
        assert_eq!(ports(&["-L", ":db:1", "-q", "2", "--cluster", "c", "-L", "3", "4"]), [1, 2, 3, 4]);
    }

    #[test]
    fn what_ssh_users_type_is_understood() {
        assert_eq!(specs(&["-N", "-L", "8080"]), specs(&["8080"]));
        assert_eq!(specs(&["-NL", "15432:db:5432"]), specs(&["15432:db:5432"]));
    }

    #[test]
    fn a_port_that_is_asked_for_twice_is_refused() {
        for words in [
            &["8080", "8080"][..],
            &["15432:db:1", "-L", "15432:redis:2"],
            &["0.0.0.0:1:80", "127.0.0.1:1:81"],
        ] {
            let error = specs(words).expect_err("refused");
            assert!(error.contains("is asked for twice"), "{words:?}: {error}");
        }
        for words in [&[":80", ":80"][..], &["127.0.0.1:1:80", "127.0.0.2:1:80"]] {
            assert!(specs(words).is_ok(), "{words:?}");
        }
    }

    #[test]
    fn addresses_come_from_the_forward_then_the_flags_then_loopback() {
        let bind = |words: &[&str]| specs(words).map(|specs| specs[0].0.clone());
        let at = |address: &str| Bind::Addresses(vec![address.parse().unwrap()]);
        assert_eq!(bind(&["8080:80"]), Ok(Bind::Loopback));
        assert_eq!(bind(&["8080:80", "--public"]), Ok(Bind::Public));
        assert_eq!(bind(&["8080:80", "--address", "127.0.0.2"]), Ok(at("127.0.0.2")));
        assert_eq!(bind(&["127.0.0.3:8080:80", "--address", "127.0.0.2"]), Ok(at("127.0.0.3")));
        assert!(bind(&["8080:80", "--address", "nowhere"]).is_err());
        let several = Bind::Several(vec![Bind::Loopback, at("127.0.0.2")]);
        assert_eq!(bind(&["8080:80", "--address", "localhost,127.0.0.2"]), Ok(several));
    }

    #[test]
    fn what_is_missing_is_said() {
        for (words, expected) in [
            (&[][..], "nothing to forward"),
            (&["db"], "\"db\""),
            (&["8080", "--local-port", "1"], "--remote-port"),
            (&["db", "redis", "--local-port", "1"], "--remote-port"),
            (&["1:db", "--local-port", "1"], "--remote-port"),
            (&["--local-port", "1"], "--remote-port"),
            (&["--remote-port", "0"], "no remote port"),
            (&["--host", "db"], "--remote-port"),
            (&["-L", "x"], "\"x\""),
            (&["--host", "db:1", "--port", "1"], "\"db:1\" is no host"),
        ] {
            let error = specs(words).expect_err("refused");
            assert!(error.contains(expected), "{words:?}: {error}");
        }
    }

    #[test]
    fn the_rest_of_the_line_is_the_command() {
        let words = ["ecsx-portforward", "8080:80", "--", "curl", "-s", "http://{addr}/"];
        assert_eq!(Args::try_parse_from(words).unwrap().command, ["curl", "-s", "http://{addr}/"]);
    }
}
