//! The contract that an integration fills in, and the clients it uses.
