//! Credentials that end while a forward runs.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Forward, connect, echo, exchange};
use crate::support::Sandbox;

/// A forward whose credentials are a profile's.
fn start(sandbox: &Sandbox, profile: &[(&str, &std::path::Path)]) -> Forward {
    let unset = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
    Forward::start_with(sandbox, &["-L", ":db.internal:1"], |command| {
        for name in unset {
            command.env_remove(name);
        }
        command.env("AWS_EC2_METADATA_DISABLED", "true").envs(profile.iter().copied());
    })
}

#[test]
fn keys_that_are_renewed_in_the_credentials_file_are_taken() {
    let sandbox = Sandbox::start();
    sandbox.name("db.internal:1", echo());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("credentials");
    let write = |key: &str| {
        let text = format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = sandbox\n");
        fs::write(&file, text).unwrap();
    };
    write(sandbox.key());
    let mut forward = start(&sandbox, &[("AWS_SHARED_CREDENTIALS_FILE", &file)]);
    let port = forward.event("ready")["local_port"].as_u64().unwrap() as u16;
    let mut held = connect(port);
    exchange(&mut held, b"before");

    let renewed = sandbox.admin("POST", "key/expire", Value::Null);
    sandbox.admin("POST", "sessions/last/cut", json!({}));
    forward.says("sign in again");
    write(renewed["AWS_ACCESS_KEY_ID"].as_str().unwrap());
    forward.event("resumed");
    exchange(&mut held, b"after");
    assert_eq!(sandbox.calls("StartSession"), 1);
}

#[cfg(unix)]
#[test]
fn an_upgrade_is_not_sent_unsigned_because_credentials_cannot_be_had_just_now() {
    let sandbox = Sandbox::start();
    let folder = tempfile::tempdir().unwrap();
    // Three calls precede the upgrade; what they get outlives none of them.
    let script = folder.path().join("credentials.sh");
    let text = format!(
        "echo x >> '{0}/calls'\n\
         if [ \"$(wc -l < '{0}/calls')\" -gt 3 ]; then sleep 3; echo 'the vault is locked' >&2; exit 1; fi\n\
         printf '{{\"Version\":1,\"AccessKeyId\":\"{1}\",\"SecretAccessKey\":\"sandbox\",\"Expiration\":\"%s\"}}' \
         \"$(date -u -d '+2 seconds' +%Y-%m-%dT%H:%M:%SZ)\"\n",
        folder.path().display(),
        sandbox.key(),
    );
    fs::write(&script, text).unwrap();
    let config = folder.path().join("config");
    let process = format!("[default]\ncredential_process = sh {}\n", script.display());
    fs::write(&config, process).unwrap();
    let (code, stderr) = start(&sandbox, &[("AWS_CONFIG_FILE", &config)]).outcome();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("cannot get AWS credentials"), "{stderr}");
    assert_eq!(sandbox.calls("StartSession"), 1, "{stderr}");
    assert_eq!(sandbox.state()["sessions"][0]["connections"], 0, "{}", sandbox.state()["sessions"]);
}
