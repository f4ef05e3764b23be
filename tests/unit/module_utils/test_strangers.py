# Copyright: (c) 2026, The nanoagent.k8s maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.nanoagent.k8s.plugins.module_utils.applyset import MEMBER_LABEL, set_id
from ansible_collections.nanoagent.k8s.plugins.module_utils.failure import Failure
from ansible_collections.nanoagent.k8s.plugins.module_utils.strangers import check_strangers

OURS = set_id("nanoagent", "sec")
MANAGER = "nanoagent.k8s"


def live(kind="ServiceAccount", name="nanoagent", managers=("kubectl-create",), namespace="sec", **labels):
    entries = [{"manager": manager, "operation": "Apply" if manager == MANAGER else "Update", "fieldsV1": {"f:metadata": {}}} for manager in managers]
    place = {"namespace": namespace} if namespace else {}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, **place, "labels": labels, "managedFields": entries}}


def refused(found, force=False):
    with pytest.raises(Failure) as caught:
        check_strangers(found, OURS, MANAGER, force)
    assert "\n" not in caught.value.message
    return caught.value.message


def test_what_others_made_is_not_taken():
    said = refused([live("PriorityClass", "high", ("kubectl-create",), ""), live("Secret", "regcred", ("vault",))])
    assert "PriorityClass high (made by kubectl-create), Secret sec/regcred (made by vault)" in said
    assert "priority_class.create: false" in said and "image_pull_secrets" in said and "force_conflicts: true" in said


def test_what_others_made_is_taken_by_force():
    check_strangers([live()], OURS, MANAGER, True)


def test_what_is_another_installation_s_is_not_even_taken_by_force():
    theirs = live(managers=(MANAGER,), **{MEMBER_LABEL: set_id("other", "sec"), "app.kubernetes.io/instance": "other"})
    for force in (False, True):
        said = refused([theirs], force)
        assert "ServiceAccount sec/nanoagent belongs to the installation other in sec" in said and "create_service_account: false" in said


def test_the_parent_of_another_set_is_another_installation_s():
    assert "belongs to another set" in refused([live("ConfigMap", "nanoagent", **{"applyset.kubernetes.io/id": "applyset-x-v1"})], True)


def test_what_we_made_is_ours_without_its_label():
    check_strangers([live(managers=(MANAGER, "kubectl-label"))], OURS, MANAGER, False)
    check_strangers([], OURS, MANAGER, False)
