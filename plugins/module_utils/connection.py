# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a module's connection options to a configuration of the official kubernetes client."""

from __future__ import annotations

import os
import traceback

from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.garbage import uncollected
from ansible_collections.nanoagent.k8s.plugins.module_utils.option_secrets import is_text, kubeconfig_credentials, secrets_in

# Loading the package makes many thousands of objects that all stay; looking for garbage among them meanwhile takes a fifth of its time.
with uncollected():
    try:
        import yaml
        from kubernetes.client import Configuration
        from kubernetes.config import kube_config
        from kubernetes.config.config_exception import ConfigException
        from kubernetes.config.incluster_config import SERVICE_CERT_FILENAME, SERVICE_TOKEN_FILENAME, InClusterConfigLoader

        KUBERNETES_IMPORT_ERROR = None
    except ImportError:
        KUBERNETES_IMPORT_ERROR = traceback.format_exc()

_ENVIRONMENT = {
    "kubeconfig": "K8S_AUTH_KUBECONFIG",
    "context": "K8S_AUTH_CONTEXT",
    "host": "K8S_AUTH_HOST",
    "api_key": "K8S_AUTH_API_KEY",
    "username": "K8S_AUTH_USERNAME",
    "password": "K8S_AUTH_PASSWORD",
    "client_cert": "K8S_AUTH_CERT_FILE",
    "client_key": "K8S_AUTH_KEY_FILE",
    "ca_cert": "K8S_AUTH_SSL_CA_CERT",
    "validate_certs": "K8S_AUTH_VERIFY_SSL",
    "tls_server_name": "K8S_AUTH_TLS_SERVER_NAME",
    "proxy": "K8S_AUTH_PROXY",
    "no_proxy": "K8S_AUTH_NO_PROXY",
    "impersonate_user": "K8S_AUTH_IMPERSONATE_USER",
    "impersonate_groups": "K8S_AUTH_IMPERSONATE_GROUPS",
}

_ONLY_WITH_HOST = ("api_key", "username", "password", "client_cert", "client_key")


def connection_argument_spec() -> dict:
    """The argument spec that the doc fragment `connection` documents."""
    return {
        "kubeconfig": {"type": "raw"},
        "context": {"type": "str"},
        "host": {"type": "str"},
        "api_key": {"type": "str", "no_log": True},
        "username": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "client_cert": {"type": "path", "aliases": ["cert_file"]},
        "client_key": {"type": "path", "aliases": ["key_file"], "no_log": False},
        "ca_cert": {"type": "path", "aliases": ["ssl_ca_cert"]},
        "validate_certs": {"type": "bool", "aliases": ["verify_ssl"]},
        "tls_server_name": {"type": "str"},
        "proxy": {"type": "str"},
        "no_proxy": {"type": "str"},
        "impersonate_user": {"type": "str"},
        "impersonate_groups": {"type": "list", "elements": "str"},
    }


def kubeconfig_secrets(kubeconfig) -> set[str]:
    """Every secret that a kubeconfig given as a dictionary or as text holds, for no_log; empty for a path. Pure."""
    return kubeconfig_credentials(_content(kubeconfig))


def environment_secrets(environ: dict) -> set[str]:
    """The secrets among the K8S_AUTH_* variables, for no_log. Pure."""
    given = {name: environ[variable] for name, variable in _ENVIRONMENT.items() if environ.get(variable)}
    return {given[name] for name in ("api_key", "password") if name in given}.union(*(secrets_in(name, given.get(name)) for name in ("host", "proxy")))


def configuration_secrets(configuration) -> set[str]:
    """The tokens, and the logins in addresses, that a configuration has come to hold, from wherever, for no_log."""
    tokens = {value.removeprefix("Bearer ") for value in configuration.api_key.values() if value}
    return tokens | secrets_in("host", configuration.host) | secrets_in("proxy", configuration.proxy)


def _content(kubeconfig):
    """The kubeconfig as a dictionary, where it is not a path."""
    if isinstance(kubeconfig, dict):
        return kubeconfig
    if is_text(kubeconfig):
        try:
            content = yaml.safe_load(kubeconfig)
        except yaml.YAMLError:
            content = None
        if isinstance(content, dict):
            return content
        raise Failure("the kubeconfig that was given as text is no YAML or JSON dictionary", "give a path, a dictionary, or its whole text")
    return None


def effective_options(params: dict, environ: dict) -> dict:
    """The connection options, those not given taken from the K8S_AUTH_* variables.

    Pure. Booleans and lists from the environment come back in their own types. A kubeconfig or context that is given keeps out the
    variables that say host and login, and with a host how it is trusted.
    """
    options = {}
    chosen = [name for name in ("kubeconfig", "context") if params.get(name)]
    if params.get("host") and chosen:
        raise Failure(f"both host and {' and '.join(chosen)} were given", "give one of them: host stands in place of a kubeconfig")
    # An option wins over a variable that would send the run to another cluster.
    unread = ("host", *_ONLY_WITH_HOST) if chosen else ()
    if chosen and environ.get(_ENVIRONMENT["host"]):
        # They are about that host.
        unread += ("ca_cert", "validate_certs", "tls_server_name")
    for name, variable in _ENVIRONMENT.items():
        value = params.get(name)
        if value is None and environ.get(variable) and name not in unread:
            value = environ[variable]
            if name == "validate_certs":
                value = value.strip().lower() not in ("0", "no", "off", "false", "n", "f")
            elif name == "impersonate_groups":
                value = [group.strip() for group in value.split(",") if group.strip()]
        options[name] = value
    if options["host"]:
        options["kubeconfig"] = options["context"] = None
    else:
        stray = [name for name in _ONLY_WITH_HOST if params.get(name)]
        if stray:
            raise Failure(f"{', '.join(stray)} was given without host", "give host too, or put the credentials into the kubeconfig")
        options["username"] = options["password"] = None
    _check_login(options)
    return options


def _check_login(options):
    username, password = options["username"], options["password"]
    if bool(username) != bool(password):
        given, missing = ("username", "password") if username else ("password", "username")
        raise Failure(f"{given} was given without {missing}", "give both, or neither")
    if username and options["api_key"]:
        raise Failure("both api_key and username were given", "give one of them: username and password only serve to get a token")


def impersonation_headers(options: dict) -> list[tuple[str, str]]:
    """The Impersonate-* headers; repeated ones stay apart."""
    headers = []
    if options.get("impersonate_user"):
        headers.append(("Impersonate-User", options["impersonate_user"]))
    for group in options.get("impersonate_groups") or []:
        headers.append(("Impersonate-Group", group))
    return headers


def load_configuration(options: dict, environ: dict, temp_dir: str | None = None):
    """A kubernetes.client.Configuration for the options of effective_options.

    temp_dir: where the client may put certificates that the kubeconfig holds inline.
    """
    configuration = Configuration()
    if options["host"]:
        _from_options(configuration, options)
    elif _content(options["kubeconfig"]) is not None:
        _from_kubeconfig(configuration, options, temp_dir, config_dict=_content(options["kubeconfig"]))
    else:
        _from_files_or_pod(configuration, options, environ, temp_dir)
    if "://" not in (configuration.host or ""):
        raise Failure(f"the kubeconfig's cluster has no URL as its server, but {configuration.host or 'nothing'}", "write it as https://name:port, or set host")
    if options["ca_cert"]:
        if not os.path.isfile(options["ca_cert"]):
            raise Failure(f"ca_cert {options['ca_cert']} does not exist", "give the path of a PEM file")
        configuration.ssl_ca_cert = options["ca_cert"]
    if options["validate_certs"] is not None:
        configuration.verify_ssl = options["validate_certs"]
    if options["tls_server_name"]:
        configuration.tls_server_name = options["tls_server_name"]
    if options["proxy"]:
        configuration.proxy = options["proxy"]
    if options["no_proxy"]:
        configuration.no_proxy = options["no_proxy"]
    return configuration


def _from_options(configuration, options):
    host = options["host"].rstrip("/")
    configuration.host = host if "://" in host else f"https://{host}"
    if options["api_key"]:
        configuration.api_key["BearerToken"] = f"Bearer {options['api_key']}"
    for name, attribute in (("client_cert", "cert_file"), ("client_key", "key_file")):
        if options[name]:
            if not os.path.isfile(options[name]):
                raise Failure(f"{name} {options[name]} does not exist", "give the path of a PEM file")
            setattr(configuration, attribute, options[name])


def _from_files_or_pod(configuration, options, environ, temp_dir):
    explicit = options["kubeconfig"] or environ.get("KUBECONFIG")
    paths = str(explicit) if explicit else os.path.join(os.path.expanduser("~"), ".kube", "config")
    existing = [path for path in paths.split(os.pathsep) if path and os.path.isfile(os.path.expanduser(path))]
    if existing:
        merged = os.pathsep.join(os.path.expanduser(path) for path in existing)
        _from_kubeconfig(configuration, options, temp_dir, filename=merged)
    elif explicit:
        raise Failure(f"the kubeconfig {paths} does not exist", "set kubeconfig (or KUBECONFIG) to an existing file, or set host and api_key")
    elif environ.get("KUBERNETES_SERVICE_HOST"):
        try:
            InClusterConfigLoader(SERVICE_TOKEN_FILENAME, SERVICE_CERT_FILENAME, environ=environ).load_and_set(configuration)
        except ConfigException as error:
            raise Failure(f"the pod's service account cannot be used: {error}", "mount its token, or set kubeconfig") from error
    else:
        raise Failure(f"no cluster is named: {paths} does not exist and KUBECONFIG is not set", "set kubeconfig, or host and api_key")


def _from_kubeconfig(configuration, options, temp_dir, filename=None, config_dict=None):
    where = "the kubeconfig" if config_dict is not None else f"the kubeconfig {filename}"
    try:
        if config_dict is not None:
            kube_config.load_kube_config_from_dict(config_dict, options["context"], configuration, persist_config=False, temp_file_path=temp_dir)
        else:
            kube_config.load_kube_config(filename, options["context"], configuration, persist_config=False, temp_file_path=temp_dir)
    except ConfigException as error:
        raise Failure(f"{where} cannot be used: {error}", "check its current-context and the user and cluster that the context names") from error
    except Exception as error:
        # The loader lets errors of YAML, base64 and of exec plugins through as they are.
        raise Failure(f"{where} cannot be read: {type(error).__name__}: {error}", "check that it is a complete kubeconfig") from error
