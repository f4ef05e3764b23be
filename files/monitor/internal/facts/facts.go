// Package facts says what is told of an object: few fields that matter, never
// a value of an environment variable, never an argument or an annotation.
package facts

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
)

// Fact is one field of an object as it is written out.
type Fact struct {
	Name  string
	Value json.RawMessage
}

// Facts are an object's, in a fixed order; what is empty or false is left out.
type Facts []Fact

// MarshalJSON writes them as one object.
func (f Facts) MarshalJSON() ([]byte, error) {
	text := []byte{'{'}
	for i, fact := range f {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, '"')
		text = append(text, fact.Name...)
		text = append(text, '"', ':')
		text = append(text, fact.Value...)
	}
	return append(text, '}'), nil
}

// Changed names the facts that differ, that are new, and that are gone.
func Changed(before, after Facts) []string {
	var names []string
	old := map[string]json.RawMessage{}
	for _, fact := range before {
		old[fact.Name] = fact.Value
	}
	for _, fact := range after {
		value, there := old[fact.Name]
		if !there || !bytes.Equal(value, fact.Value) {
			names = append(names, fact.Name)
		}
		delete(old, fact.Name)
	}
	for _, fact := range before {
		if _, gone := old[fact.Name]; gone {
			names = append(names, fact.Name)
		}
	}
	return names
}

// of turns a struct into facts: a field each, named by its json tag.
func of(told any) Facts {
	value := reflect.ValueOf(told)
	names := namesOf(value.Type())
	found := make(Facts, 0, len(names))
	for i, name := range names {
		field := value.Field(i)
		if field.IsZero() || (field.Kind() == reflect.Slice && field.Len() == 0) {
			continue
		}
		text, err := json.Marshal(field.Interface())
		if err != nil {
			// Only numbers that are none and cycles can fail, and there are none of either.
			panic(err)
		}
		found = append(found, Fact{Name: name, Value: text})
	}
	return found
}

var known sync.Map // of reflect.Type to []string

func namesOf(kind reflect.Type) []string {
	if names, there := known.Load(kind); there {
		return names.([]string)
	}
	names := make([]string, kind.NumField())
	for i := range names {
		names[i], _, _ = strings.Cut(kind.Field(i).Tag.Get("json"), ",")
	}
	known.Store(kind, names)
	return names
}
