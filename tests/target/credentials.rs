//! Whose credentials count, and what is said of those that do not do.

use std::process::Output;

use crate::{Place, refuses, stderr};

#[test]
fn a_profile_that_was_asked_for_beats_everything_that_was_only_set_up() {
    let place = Place::new();
    let file = |name: &str, text: String| {
        let file = place.directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let keys = |id: &str| format!("aws_access_key_id = {id}\naws_secret_access_key = s\n");
    let bad = "AKIASOMEBODYELSE0000";
    let profiles = file(
        "profiles",
        format!("[profile good]\n{}[profile bad]\n{}", keys(place.sandbox.key()), keys(bad)),
    );
    let envfile = file(
        "bad.env",
        format!("AWS_PROFILE=bad\nAWS_ACCESS_KEY_ID={bad}\nAWS_SECRET_ACCESS_KEY=s\nAWS_REGION=eu-west-1\n"),
    );
    let run = |program: &str, words: &[&str], variables: &[(&str, &str)]| {
        let mut command = place.sandbox.command(program);
        command.args(words).current_dir(&place.directory).env("HOME", place.directory.path());
        command.env_remove("ECSX_REGION").env("AWS_CONFIG_FILE", &profiles).env("AWS_ACCESS_KEY_ID", bad);
        command.env("AWS_PROFILE", "bad").envs(variables.iter().copied()).output().unwrap()
    };
    let reaches = |output: &Output| assert!(output.status.success(), "{}", stderr(output));
    let refused = |output: &Output| assert!(stderr(output).contains("token included"), "{}", stderr(output));
    let envfile = ["--envfile", envfile.as_str()];
    for variables in [&[][..], &[("AWS_PROFILE", "good")]] {
        reaches(&run("ecsx", &[&["--profile", "good", "target"], &envfile[..]].concat(), variables));
        reaches(&run("ecsx", &[&["target", "--profile", "good"], &envfile[..]].concat(), variables));
        reaches(&run("ecsx-target", &[&["--profile", "good"], &envfile[..]].concat(), variables));
        refused(&run("ecsx", &[&["target"], &envfile[..]].concat(), variables));
        refused(&run("ecsx", &["target"], variables));
    }
    reaches(&run("ecsx", &[&["target"], &envfile[..]].concat(), &[("ECSX_PROFILE", "good")]));
}

/// A profile `dev` that signs in by SSO: its configuration file.
fn sso(place: &Place) -> std::path::PathBuf {
    let config = place.directory.path().join("aws-config");
    let text = "[profile dev]\nsso_session = dev\nsso_account_id = 123456789012\nsso_role_name = Developer\n\
         [sso-session dev]\nsso_region = us-east-1\nsso_start_url = https://example.awsapps.com/start\n";
    std::fs::write(&config, text).unwrap();
    config
}

fn signed_in_until(place: &Place, expiry: &str) {
    let cache = place.directory.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    // SHA-1 of the session's name, as every AWS tool names the file.
    let file = cache.join("34c6fceca75e456f25e7e99531e2425c6c1de443.json");
    let token = format!(r#"{{"accessToken": "t0p-s3cret", "expiresAt": "{expiry}"}}"#);
    std::fs::write(file, token).unwrap();
}

#[test]
fn an_sso_session_that_is_over_names_the_login_that_renews_it() {
    let place = Place::new();
    let config = sso(&place);
    let run = || {
        let mut command = place.target(&["--profile", "dev"]);
        command.env("AWS_CONFIG_FILE", &config);
        command
    };
    refuses(run(), &["cannot get AWS credentials", "hint: sign in again: aws sso login --profile dev"]);
    signed_in_until(&place, "2020-01-01T00:00:00Z");
    refuses(run(), &["expired", "hint: sign in again: aws sso login --profile dev"]);
}

#[test]
fn offline_with_sso_is_a_matter_of_the_network_not_of_the_login() {
    let place = Place::new();
    let config = sso(&place);
    signed_in_until(&place, "2999-01-01T00:00:00Z");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = place.target(&["--profile", "dev"]);
    command.env("AWS_CONFIG_FILE", &config).env("HTTPS_PROXY", format!("http://{closed}"));
    for name in ["https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"]
    {
        command.env_remove(name);
    }
    // Every request, so that none can reach AWS.
    command.env("AWS_ENDPOINT_URL_SSO", format!("http://{closed}"));
    let output = command.output().unwrap();
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("cannot get AWS credentials") && said.contains("is the network up?"), "{said}");
    assert!(!said.contains("sign in") && !said.contains("t0p-s3cret"), "{said}");
}

#[test]
fn a_certificate_bundle_that_cannot_be_used_is_named() {
    let place = Place::new();
    let mut command = place.target(&[]);
    command.env("AWS_CA_BUNDLE", "/no/such/bundle.pem");
    refuses(command, &["/no/such/bundle.pem", "AWS_CA_BUNDLE"]);
}
