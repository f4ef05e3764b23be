package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"nanoagent.io/monitor/internal/facts"
	"nanoagent.io/monitor/internal/watcher"
)

// world is a stream with what it wrote.
type world struct {
	*Stream
	t      *testing.T
	out    bytes.Buffer
	failed error
}

func begin(t *testing.T) *world {
	w := &world{t: t}
	w.Stream = New(&w.out, Names{Monitor: "m", Cluster: "c"}, func(err error) { w.failed = err })
	return w
}

// fill gives each kind its first objects, none where none are named.
func (w *world) fill(records ...*watcher.Record) {
	by := map[string][]*watcher.Record{}
	for _, record := range records {
		by[record.Kind] = append(by[record.Kind], record)
	}
	for i := range watcher.Kinds {
		w.Replace(&watcher.Kinds[i], by[watcher.Kinds[i].Name])
	}
}

func (w *world) kind(name string) *watcher.Kind {
	for i := range watcher.Kinds {
		if watcher.Kinds[i].Name == name {
			return &watcher.Kinds[i]
		}
	}
	w.t.Fatal(name)
	return nil
}

func (w *world) set(records ...*watcher.Record) {
	for _, record := range records {
		w.Set(w.kind(record.Kind), record)
	}
}

func (w *world) remove(record *watcher.Record) { w.Remove(w.kind(record.Kind), record) }

// said gives what was written since it was last asked, in short: what happened, the kind, the name, the root workload.
func (w *world) said() string {
	w.t.Helper()
	var short []string
	for line := range strings.Lines(w.out.String()) {
		var read struct {
			Line
			Phase    string            `json:"phase"`
			Reason   string            `json:"reason"`
			Missing  map[string]string `json:"missing"`
			Facts    map[string]any    `json:"facts"`
			Cluster  string            `json:"cluster"`
			Replayed any               `json:"replayed"`
		}
		if err := json.Unmarshal([]byte(line), &read); err != nil || read.Cluster != "c" {
			w.t.Fatal(line, err)
		}
		text := strings.TrimSpace(read.Type + " " + read.Phase + read.Reason)
		if read.Type == "object" {
			text = fmt.Sprintf("%s %s/%s", read.Change, read.Kind, read.Name)
			if read.Workload != nil {
				text += " of " + read.Workload.Kind + "/" + read.Workload.Name
			}
			if read.Changed != nil {
				text += fmt.Sprint(" ", read.Changed)
			}
			if read.Replayed == true {
				text += " again"
			}
		}
		for title, why := range read.Missing {
			text += fmt.Sprintf(" without %s (%s)", title, why)
		}
		short = append(short, text)
	}
	w.out.Reset()
	return strings.Join(short, "\n")
}

func (w *world) expect(lines ...string) {
	w.t.Helper()
	if got, want := w.said(), strings.Join(lines, "\n"); got != want {
		w.t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

var version int

// object makes a record of a kind; told is its one fact.
func object(kind, name, told string, owner ...*watcher.Record) *watcher.Record {
	version++
	record := &watcher.Record{
		TypeMeta:   metav1.TypeMeta{Kind: kind},
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(kind + name), ResourceVersion: fmt.Sprint(version)},
		Facts:      facts.Facts{{Name: "told", Value: json.RawMessage(`"` + told + `"`)}},
	}
	for _, each := range owner {
		version := map[string]string{"Deployment": "apps/v1", "ReplicaSet": "apps/v1", "Job": "batch/v1", "Rollout": "example.com/v1"}[each.Kind]
		record.OwnerReferences = []metav1.OwnerReference{{APIVersion: version, Kind: each.Kind, Name: each.Name, UID: each.UID}}
	}
	return record
}

func deployed() (deployment, replicaSet, pod *watcher.Record) {
	deployment = object("Deployment", "d", "")
	replicaSet = object("ReplicaSet", "r", "", deployment)
	return deployment, replicaSet, object("Pod", "p", "1", replicaSet)
}

func TestItBeginsWithWhatIsThere(t *testing.T) {
	w := begin(t)
	deployment, replicaSet, pod := deployed()
	w.fill(pod, replicaSet, deployment, object("Node", "n", ""), object("Event", "e", ""))
	w.expect("")
	w.Speak("start", nil, time.Time{})
	w.expect(
		"snapshot beginstart",
		"present Node/n",
		"present Pod/p of Deployment/d",
		"present Deployment/d",
		"present ReplicaSet/r of Deployment/d",
		"snapshot end",
	)
}

func TestChangesThatAreToldAndThoseThatAreNot(t *testing.T) {
	w := begin(t)
	_, replicaSet, pod := deployed()
	w.fill(object("Deployment", "d", ""), replicaSet, pod)
	w.Speak("start", nil, time.Time{})
	w.said()
	w.set(object("Pod", "p", "1", replicaSet))
	w.expect("")
	w.set(object("Pod", "p", "2", replicaSet))
	w.expect("changed Pod/p of Deployment/d [told]")
	w.set(object("Event", "e", ""), object("Event", "e", ""))
	w.expect("added Event/e", "changed Event/e")
	w.remove(object("Event", "e", ""))
	w.expect("")
	counts := w.Counts()
	if counts.Unchanged["Pod"] != 1 || counts.Changes["Pod"][Changed] != 1 || counts.Objects["Pod"] != 1 || counts.Objects["Event"] != 0 {
		t.Errorf("%+v", counts)
	}
}

func TestAnOwnerIsGoneBeforeWhatItOwned(t *testing.T) {
	w := begin(t)
	deployment, replicaSet, pod := deployed()
	w.fill(deployment, replicaSet, pod)
	w.Speak("start", nil, time.Time{})
	w.said()
	w.remove(deployment)
	w.remove(replicaSet)
	w.set(object("Pod", "p", "ending", replicaSet))
	w.remove(object("Pod", "p", "ended", replicaSet))
	w.expect(
		"removed Deployment/d",
		"removed ReplicaSet/r of Deployment/d",
		"changed Pod/p of Deployment/d [told]",
		"removed Pod/p of Deployment/d",
	)
}

func TestAPodThatIsSeenBeforeItsOwnerWaitsForIt(t *testing.T) {
	w := begin(t)
	deployment, replicaSet, pod := deployed()
	w.fill()
	w.Speak("start", nil, time.Time{})
	w.said()
	w.set(pod, object("Pod", "p", "2", replicaSet), object("Pod", "alone", ""))
	w.expect("added Pod/alone")
	w.set(deployment, replicaSet)
	w.expect(
		"added Deployment/d",
		"added ReplicaSet/r of Deployment/d",
		"added Pod/p of Deployment/d",
		"changed Pod/p of Deployment/d [told]",
	)
}

func TestAnOwnerThatNeverComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t)
		_, replicaSet, pod := deployed()
		w.fill()
		w.Speak("start", nil, time.Time{})
		w.said()
		w.set(pod)
		w.Tick(time.Now())
		w.expect("")
		time.Sleep(ownerWait + time.Millisecond)
		w.Tick(time.Now())
		w.expect("added Pod/p of ReplicaSet/r")
		// Of a kind that is not followed nothing more can be known.
		w.set(object("Pod", "q", "", object("Rollout", "x", "")))
		w.expect("added Pod/q of Rollout/x")
		_ = replicaSet
	})
}

func TestTheDifferenceOfTwoListsIsWhatWasMissed(t *testing.T) {
	w := begin(t)
	node := func(name, told string) *watcher.Record { return object("Node", name, told) }
	same, changed, gone := node("same", ""), node("changed", "1"), node("gone", "")
	w.fill(same, changed, gone)
	w.Speak("start", nil, time.Time{})
	w.said()
	w.Replace(w.kind("Node"), []*watcher.Record{same, node("changed", "2"), node("new", "")})
	w.expect("removed Node/gone", "changed Node/changed [told]", "added Node/new")
}

func TestWhoStandsByRemembersWhatTheOtherMayHaveMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := begin(t)
		w.fill()
		w.set(object("Node", "early", ""))
		time.Sleep(10 * time.Second)
		since := time.Now()
		w.set(object("Node", "late", ""), object("Pod", "short", ""))
		w.remove(object("Pod", "short", ""))
		w.Tick(time.Now())
		w.expect("")
		w.Speak("takeover", &Previous{Monitor: "other"}, since)
		w.expect(
			"snapshot begintakeover",
			"added Node/late again",
			"added Pod/short again",
			"removed Pod/short again",
			"present Node/early",
			"present Node/late",
			"snapshot end",
		)
		w.Hush("lost")
		w.set(object("Node", "unheard", ""))
		w.expect("standby lost")
		time.Sleep(remembered + time.Second)
		w.Tick(time.Now())
		w.Speak("takeover", &Previous{}, since)
		if said := w.said(); strings.Contains(said, "again") {
			t.Error(said)
		}
	})
}

func TestWhatCouldNotBeRememberedIsCounted(t *testing.T) {
	w := begin(t)
	w.fill()
	for i := range mostRemembered + 1 {
		w.set(object("Namespace", fmt.Sprint("n", i), ""))
	}
	w.Speak("takeover", &Previous{}, time.Now().Add(-time.Hour))
	var first struct{ Lost, Replayed int }
	line, _, _ := strings.Cut(w.out.String(), "\n")
	if err := json.Unmarshal([]byte(line), &first); err != nil || first.Lost != forgottenAtOnce || first.Lost+first.Replayed != mostRemembered+1 {
		t.Error(line, err)
	}
}

func TestAKindThatComesLateIsPresentAndNotAdded(t *testing.T) {
	w := begin(t)
	deployment, replicaSet, pod := deployed()
	w.Cover(map[string]string{"replicasets.apps": "no right to list"})
	for _, record := range []*watcher.Record{deployment, pod} {
		w.Replace(w.kind(record.Kind), []*watcher.Record{record})
	}
	w.Speak("start", nil, time.Time{})
	w.expect(
		"snapshot beginstart without replicasets.apps (no right to list)",
		"present Pod/p of ReplicaSet/r",
		"present Deployment/d",
		"snapshot end",
	)
	w.Cover(map[string]string{})
	w.Replace(w.kind("ReplicaSet"), []*watcher.Record{replicaSet})
	w.set(object("Pod", "p", "2", replicaSet))
	w.expect("coverage", "present ReplicaSet/r of Deployment/d", "changed Pod/p of Deployment/d [told]")
}

func TestAnOutputThatTakesNoMore(t *testing.T) {
	var failed error
	s := New(broken{}, Names{}, func(err error) { failed = err })
	s.Speak("start", nil, time.Time{})
	if failed == nil {
		t.Error("nobody was told")
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no reader") }
