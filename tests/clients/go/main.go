// Listens at each URL with r3labs/sse, and prints each event as a line of JSON: which URL it was, type, data, id.
// usage: listen URL...
package main

import (
	"encoding/json"
	"os"
	"sync"
	"time"

	"github.com/r3labs/sse/v2"
)

var output sync.Mutex

func listen(stream int, url string) {
	client := sse.NewClient(url)
	last := ""
	for { // It takes an orderly end for the end: it is asked again, and knows where it was
		_ = client.SubscribeRaw(func(event *sse.Event) {
			if !json.Valid(event.Data) {
				return // a connection that breaks leaves half an event, which it hands over
			}
			if len(event.ID) > 0 {
				last = string(event.ID)
			}
			output.Lock()
			defer output.Unlock()
			_ = json.NewEncoder(os.Stdout).Encode(map[string]any{
				"stream": stream, "type": string(event.Event), "data": string(event.Data), "lastEventId": last,
			})
		})
		time.Sleep(time.Second)
	}
}

func main() {
	for stream, url := range os.Args[1:] {
		go listen(stream, url)
	}
	select {}
}
