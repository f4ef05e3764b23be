// Package api reaches the API server: one small client a group and version,
// with no more types linked in than are read.
package api

import (
	"errors"
	"net"
	"net/http"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"

	"nanoagent.io/monitor/internal/config"
)

const (
	// Lists and watches of all kinds start together; later there are few requests.
	perSecond = 50
	atOnce    = 100
)

var groups = []struct {
	version schema.GroupVersion
	add     func(*runtime.Scheme) error
}{
	{corev1.SchemeGroupVersion, corev1.AddToScheme},
	{appsv1.SchemeGroupVersion, appsv1.AddToScheme},
	{batchv1.SchemeGroupVersion, batchv1.AddToScheme},
	{discoveryv1.SchemeGroupVersion, discoveryv1.AddToScheme},
	{rbacv1.SchemeGroupVersion, rbacv1.AddToScheme},
	{coordinationv1.SchemeGroupVersion, coordinationv1.AddToScheme},
}

// Clients are the clients of one API server, by group and version.
type Clients map[schema.GroupVersion]rest.Interface

// Connect makes the clients; nothing is sent yet.
func Connect(settings config.API, userAgent string) (Clients, error) {
	base, err := configuration(settings)
	if err != nil {
		return nil, err
	}
	base.UserAgent = userAgent
	base.QPS, base.Burst = perSecond, atOnce
	transport, err := rest.HTTPClientFor(base)
	if err != nil {
		return nil, err
	}
	clients := Clients{}
	for _, group := range groups {
		client, err := clientFor(base, transport, group.version)
		if err != nil {
			return nil, err
		}
		clients[group.version] = client
	}
	return clients, nil
}

func clientFor(base *rest.Config, transport *http.Client, version schema.GroupVersion) (rest.Interface, error) {
	scoped := rest.CopyConfig(base)
	scoped.GroupVersion = &version
	scoped.APIPath = "/apis"
	if version.Group == "" {
		scoped.APIPath = "/api"
	}
	scoped.NegotiatedSerializer = serializer.NewCodecFactory(scheme()).WithoutConversion()
	scoped.ContentType = runtime.ContentTypeProtobuf
	scoped.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	return rest.RESTClientForConfigAndClient(scoped, transport)
}

func configuration(settings config.API) (*rest.Config, error) {
	server := settings.Server
	if server == "" {
		host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
		if host == "" || port == "" {
			return nil, errors.New("this is no pod of a cluster: name api.server in the configuration")
		}
		server = "https://" + net.JoinHostPort(host, port)
	}
	return &rest.Config{
		Host: server,
		// The kubelet renews the token; the client reads the file again.
		BearerTokenFile: settings.TokenFile,
		TLSClientConfig: rest.TLSClientConfig{CAFile: settings.CAFile},
	}, nil
}

func scheme() *runtime.Scheme {
	known := runtime.NewScheme()
	for _, group := range groups {
		utilruntime.Must(group.add(known))
	}
	return known
}
