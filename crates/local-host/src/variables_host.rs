//! `spin:variables`: a component reads its variables.

use wasmtime::component::Accessor;

use crate::bindings::variables::{Error, Host, HostWithStore};
use crate::state::{HostData, InstanceState};
use crate::variables::check_name;

impl Host for InstanceState {}

impl<T: Send> HostWithStore<T> for HostData {
    async fn get(accessor: &Accessor<T, Self>, name: String) -> Result<String, Error> {
        check_name(&name).map_err(|rule| Error::InvalidName(format!("{name:?}: {rule}")))?;
        accessor.with(|mut access| {
            let context = &access.get().context;
            context.variables.get(&name).map(str::to_owned).ok_or_else(|| {
                Error::Undefined(format!("[component.{}.variables] has no `{name}`", context.id))
            })
        })
    }
}
