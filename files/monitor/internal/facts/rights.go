package facts

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type role struct {
	Deleting   string `json:"deleting"`
	Aggregated bool   `json:"aggregated"`
	Rules      []rule `json:"rules"`
}

type rule struct {
	Groups    []string `json:"groups,omitempty"`
	Resources []string `json:"resources,omitempty"`
	Names     []string `json:"names,omitempty"`
	URLs      []string `json:"urls,omitempty"`
	Verbs     []string `json:"verbs"`
}

func roleOf(meta *metav1.ObjectMeta, rules []rbacv1.PolicyRule, aggregated bool) Facts {
	told := role{Deleting: deleting(meta), Aggregated: aggregated}
	for _, each := range rules {
		told.Rules = append(told.Rules, rule{each.APIGroups, each.Resources, each.ResourceNames, each.NonResourceURLs, each.Verbs})
	}
	return of(told)
}

// Role is told by its rules.
func Role(object *rbacv1.Role) Facts {
	return roleOf(&object.ObjectMeta, object.Rules, false)
}

// ClusterRole is told by its rules.
func ClusterRole(object *rbacv1.ClusterRole) Facts {
	return roleOf(&object.ObjectMeta, object.Rules, object.AggregationRule != nil)
}

type binding struct {
	Deleting string      `json:"deleting"`
	Role     reference   `json:"role"`
	Subjects []reference `json:"subjects"`
}

func bindingOf(meta *metav1.ObjectMeta, role rbacv1.RoleRef, subjects []rbacv1.Subject) Facts {
	told := binding{Deleting: deleting(meta), Role: reference{Kind: role.Kind, Name: role.Name}}
	for _, subject := range subjects {
		told.Subjects = append(told.Subjects, reference{Kind: subject.Kind, Namespace: subject.Namespace, Name: subject.Name})
	}
	return of(told)
}

// RoleBinding is told by who gets which role.
func RoleBinding(object *rbacv1.RoleBinding) Facts {
	return bindingOf(&object.ObjectMeta, object.RoleRef, object.Subjects)
}

// ClusterRoleBinding is told by who gets which role.
func ClusterRoleBinding(object *rbacv1.ClusterRoleBinding) Facts {
	return bindingOf(&object.ObjectMeta, object.RoleRef, object.Subjects)
}
