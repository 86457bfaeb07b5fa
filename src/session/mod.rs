//! I/O around `ssm`: WebSocket, driver, resume; port forwards; terminal.
