//! AgentMessage: the binary envelope of every data-channel frame.
