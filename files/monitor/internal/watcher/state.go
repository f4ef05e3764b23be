package watcher

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// A server that is away for a moment is no reason to say that nothing is seen.
const patience = time.Minute

// State says of each kind whether it is followed, and if not, why.
type State struct {
	mu      sync.Mutex
	kinds   map[string]*kindState
	changed func()
}

type kindState struct {
	filled   bool
	troubles map[string]trouble // by verb
	errors   int
}

type trouble struct {
	text  string
	since time.Time
	// Refused means that trying again will not help by itself.
	refused bool
}

// NewState knows that nothing is followed yet; changed is called whenever that
// changes.
func NewState(changed func()) *State {
	state := &State{kinds: map[string]*kindState{}, changed: changed}
	for i := range Kinds {
		state.kinds[Kinds[i].Title()] = &kindState{troubles: map[string]trouble{}}
	}
	return state
}

func (s *State) note(kind *Kind, verb string, err error) {
	s.mu.Lock()
	defer s.changed()
	defer s.mu.Unlock()
	state := s.kinds[kind.Title()]
	if err == nil {
		delete(state.troubles, verb)
		return
	}
	state.errors++
	found := trouble{text: fmt.Sprintf("cannot %s: %s", verb, oneLine(err)), since: time.Now()}
	switch {
	case apierrors.IsForbidden(err):
		found.text, found.refused = "no right to "+verb, true
	case apierrors.IsUnauthorized(err):
		found.text, found.refused = "the API server does not know this service account's token", true
	case apierrors.IsNotFound(err):
		found.text, found.refused = "the API server has no such kind", true
	}
	if before, there := state.troubles[verb]; there {
		found.since = before.since
	}
	state.troubles[verb] = found
}

func (s *State) synced(kind *Kind) {
	s.mu.Lock()
	defer s.changed()
	defer s.mu.Unlock()
	state := s.kinds[kind.Title()]
	state.filled = true
	// A watch can bring all objects too, and no list is asked for again then.
	delete(state.troubles, "list")
}

// Settled says whether each kind was read once, or will not be.
func (s *State) Settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, state := range s.kinds {
		// A watch that is refused is followed by a list.
		if !state.filled && !state.troubles["list"].refused {
			return false
		}
	}
	return true
}

// Missing gives the kinds that are not followed, with the reason.
func (s *State) Missing(now time.Time) map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	missing := map[string]string{}
	for title, state := range s.kinds {
		if why := state.missing(now); why != "" {
			missing[title] = why
		}
	}
	return missing
}

// Unread names the kinds that were not read yet.
func (s *State) Unread() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var titles []string
	for title, state := range s.kinds {
		if !state.filled {
			titles = append(titles, title)
		}
	}
	slices.Sort(titles)
	return titles
}

// Errors counts the answers that failed, by kind.
func (s *State) Errors() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for title, state := range s.kinds {
		counts[title] = state.errors
	}
	return counts
}

func (k *kindState) refusal() string {
	for _, verb := range slices.Sorted(maps.Keys(k.troubles)) {
		if k.troubles[verb].refused {
			return k.troubles[verb].text
		}
	}
	return ""
}

func (k *kindState) missing(now time.Time) string {
	if why := k.refusal(); why != "" {
		return why
	}
	for _, verb := range slices.Sorted(maps.Keys(k.troubles)) {
		if found := k.troubles[verb]; now.Sub(found.since) > patience {
			return found.text
		}
	}
	return ""
}

func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
