# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a module's documentation to the files of a role."""

from __future__ import annotations

import pytest
import yaml
from role_options import Role, files

SPEC = {
    "kubeconfig": {"type": "raw"},
    "host": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "name": {"type": "str", "default": "nano"},
    "image": {"type": "str"},
    "host_network": {"type": "bool"},
    "binaries": {"type": "dict", "required": True},
    "login": {
        "type": "dict",
        "options": {"user": {"type": "str", "required": True}, "password": {"type": "str", "no_log": True}},
    },
}
DOCUMENTED = {
    "kubeconfig": {"description": ["Not read with O(host)."]},
    "host": {"description": "URL."},
    "state": {"description": ["What for, see RV(actions)."]},
    "name": {"description": ["Name."]},
    "image": {"description": ["Needed unless O(state=absent); O(name) and O(login.user) too, not O(ignore:name) or O(x.y.z#module:name)."]},
    "host_network": {"description": ["Whether."]},
    "binaries": {"description": ["Paths."]},
    "login": {
        "description": "Login.",
        "suboptions": {"user": {"description": "As in O(image)."}, "password": {"description": ["Secret."]}},
    },
}
TASKS = """---
- name: Before
  vars:
    kept: by hand
  nanoagent.k8s.agent:
    gone: true
  register: result

- name: After
  ansible.builtin.debug:
    msg: kept
"""


def made(tasks=TASKS, **role):
    role = Role(module="agent", short_description="Short", description=["Long."], **role)
    texts = files("r", role, DOCUMENTED, SPEC, tasks)
    specs = yaml.safe_load(texts["meta/argument_specs.yml"])["argument_specs"]["main"]
    return specs, yaml.safe_load(texts["defaults/main.yml"]), yaml.safe_load(texts["tasks/main.yml"]), texts


def test_options_become_variables_defaults_and_arguments():
    specs, defaults, tasks, texts = made()
    assert list(specs["options"]) == ["r_kubeconfig", "r_state", "r_name", "r_image", "r_host_network", "r_binaries", "r_login"]
    assert specs["options"]["r_state"] == {
        "description": ["What for, see RV(nanoagent.k8s.agent#module:actions)."],
        "type": "str",
        "choices": ["present", "absent"],
        "default": "present",
    }
    assert defaults == {"r_state": "present", "r_name": "nano"}
    assert tasks[0]["nanoagent.k8s.agent"] == {
        "kubeconfig": "{{ r_kubeconfig | default(omit) }}",
        "state": "{{ r_state }}",
        "name": "{{ r_name }}",
        "image": "{{ r_image | default(omit, true) }}",
        "host_network": "{{ r_host_network | default(omit) }}",
        "binaries": "{{ r_binaries }}",
        "login": "{{ r_login | default(omit) }}",
    }
    assert all("python tests/tools/role_options.py" in text for text in texts.values())


def test_suboptions_carry_over_and_secrets_stay_secret():
    assert made()[0]["options"]["r_login"] == {
        "description": ["Login."],
        "type": "dict",
        "options": {
            "user": {"description": ["As in O(r_image)."], "type": "str", "required": True},
            "password": {"description": ["Secret."], "type": "str", "no_log": True},
        },
    }


def test_references_are_the_role_s():
    options = made(fixed={"state": "absent"})[0]["options"]
    assert options["r_kubeconfig"]["description"] == ["Not read with O(nanoagent.k8s.agent#module:host)."]
    assert options["r_image"]["description"] == [
        "Needed unless O(nanoagent.k8s.agent#module:state=absent); O(r_name) and O(r_login.user) too, not O(ignore:name) or O(x.y.z#module:name)."
    ]


def test_what_stands_around_the_arguments_is_kept():
    _specs, _defaults, tasks, texts = made()
    assert tasks[0]["vars"] == {"kept": "by hand"}
    assert tasks[0]["register"] == "result"
    assert tasks[1] == yaml.safe_load(TASKS)[1]
    assert made(tasks=texts["tasks/main.yml"])[3] == texts


def test_the_call_may_stand_in_a_block():
    lines = TASKS.splitlines()
    blocked = "\n".join([lines[0], "- name: Around", "  block:", *(f"    {line}" if line else "" for line in lines[1:]), ""])
    [around] = made(tasks=blocked)[2]
    assert around["block"] == made()[2]
    assert made(tasks=made(tasks=blocked)[3]["tasks/main.yml"])[3] == made(tasks=blocked)[3]


@pytest.mark.parametrize("tasks", ["---\n- name: Other\n  nanoagent.k8s.agent_info:\n", TASKS + TASKS])
def test_not_one_call_of_the_module(tasks):
    with pytest.raises(SystemExit, match="must call nanoagent.k8s.agent once"):
        made(tasks=tasks)


def test_exceptions_of_a_role():
    specs, defaults, tasks, _texts = made(
        only=("kubeconfig", "name", "image", "binaries"),
        fixed={"state": "absent"},
        defaults={"image": "{{ built | default('') }}"},
        values={"binaries": "r_binaries | default(shipped)"},
        follows=("kubeconfig", "name"),
        own={"fail": {"description": ["Whether."], "type": "bool", "default": True}},
    )
    assert defaults == {"r_name": "{{ agent_name | default('nano') }}", "r_image": "{{ built | default('') }}", "r_fail": True}
    assert tasks[0]["nanoagent.k8s.agent"] == {
        "state": "absent",
        "kubeconfig": "{{ r_kubeconfig | default(agent_kubeconfig | default(omit)) }}",
        "name": "{{ r_name }}",
        "image": "{{ r_image }}",
        "binaries": "{{ r_binaries | default(shipped) }}",
    }
    assert "required" not in specs["options"]["r_binaries"]


def test_a_role_may_live_on_another_s_variables():
    specs, defaults, tasks, _texts = made(borrows="agent")
    # What the role agent has a variable for has none here.
    assert list(specs["options"]) == ["r_binaries", "r_login"] and defaults == {}
    assert tasks[0]["nanoagent.k8s.agent"] == {
        "kubeconfig": "{{ agent_kubeconfig | default(omit) }}",
        "state": "{{ agent_state | default(omit, true) }}",
        "name": "{{ agent_name | default(omit, true) }}",
        "image": "{{ agent_image | default(omit, true) }}",
        "host_network": "{{ agent_host_network | default(omit) }}",
        "binaries": "{{ r_binaries }}",
        "login": "{{ r_login | default(omit) }}",
    }


def test_what_a_shared_fragment_names_in_full_is_the_role_s_own():
    documented = {**DOCUMENTED, "name": {"description": ["See O(nanoagent.k8s.agent#module:image=x) and O(nanoagent.k8s.other#module:image)."]}}
    role = Role(module="agent", short_description="Short", description=["Long."])
    specs = yaml.safe_load(files("r", role, documented, SPEC, TASKS)["meta/argument_specs.yml"])["argument_specs"]["main"]
    assert specs["options"]["r_name"]["description"] == ["See O(r_image=x) and O(nanoagent.k8s.other#module:image)."]
