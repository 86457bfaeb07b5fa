//! The one module that knows the AWS SDK; implements `ecs::Cloud` with it.
