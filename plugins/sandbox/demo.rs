//! `ecsx sandbox demo`.

pub(crate) async fn demo() -> Result<u8, String> {
    Err("there is no agent in the sandbox yet, and so no demo".to_owned())
}
