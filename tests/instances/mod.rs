//! Assigning instances to instances: prompts, mappings, the Resource Controller, the manuals' runbooks.

mod orchestrate;
mod prompts;
mod resource_controller;
mod resource_controller_tls;
mod runbooks;
