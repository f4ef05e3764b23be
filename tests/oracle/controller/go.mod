// Marks the root of the module only: the requirements are in versions/, and for the versions that the local cluster runs in its own folder.
module controller

go 1.26.0
