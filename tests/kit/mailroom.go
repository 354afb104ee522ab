// The mail room in Go, of the standard library alone: go run mailroom.go [PORT]
//
// The type Service is what you copy: health, status and shutdown routes, draining, clean-up, exit. What
// follows it is the service itself, which takes letters into a folder.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Service knows what the health routes tell, and the order of a shutdown: drain, clean up, reply, exit.
type Service struct {
	Name, Version string
	DrainTimeout  time.Duration
	started       time.Time

	mutex        sync.Mutex // guards what follows
	dependencies map[string]*dependency
	cleanUps     []func() error // the last one runs first
	draining     bool
	inFlight     int
	idle         chan struct{} // closed when the service drains and nothing is in flight

	finished       chan struct{}
	cleanUpSeconds float64
}

type dependency struct {
	successes, failures      int
	lastSuccess, lastFailure time.Time
	err                      error
	due                      time.Time // when the check that runs has to have ended; zero while none runs
	details                  map[string]any
}

// failure returns why it does not work, or nil; a check that hangs tells nothing good of it.
func (d *dependency) failure() error {
	if !d.due.IsZero() && time.Now().After(d.due) {
		return errors.New("no answer in time")
	}
	return d.err
}

func NewService(name, version string) *Service {
	return &Service{Name: name, Version: version, DrainTimeout: 30 * time.Second, started: time.Now(),
		dependencies: map[string]*dependency{}, idle: make(chan struct{}), finished: make(chan struct{})}
}

// Check calls the function now and then, and expects its answer within the limit.
func (s *Service) Check(name string, every, limit time.Duration, function func() (map[string]any, error)) {
	found := &dependency{err: errors.New("not checked yet")}
	s.dependencies[name] = found
	go func() {
		for {
			s.mutex.Lock()
			found.due = time.Now().Add(limit)
			s.mutex.Unlock()
			details, err := function()
			s.mutex.Lock()
			found.err, found.due = err, time.Time{}
			if err == nil {
				found.successes, found.lastSuccess, found.details = found.successes+1, time.Now(), details
			} else {
				found.failures, found.lastFailure = found.failures+1, time.Now()
			}
			s.mutex.Unlock()
			time.Sleep(every)
		}
	}()
}

// Work counts requests as in flight, and refuses them during a shutdown.
func (s *Service) Work(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mutex.Lock()
		refused := s.draining
		if !refused {
			s.inFlight++
		}
		s.mutex.Unlock()
		if refused {
			w.Header().Set("Connection", "close")
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
			return
		}
		defer s.done()
		next.ServeHTTP(w, r)
	})
}

func (s *Service) done() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.inFlight--
	if s.draining && s.inFlight == 0 {
		close(s.idle)
	}
}

// ShutDown begins the shutdown and returns at once; a second call changes nothing.
func (s *Service) ShutDown() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.draining {
		return
	}
	s.draining = true
	if s.inFlight == 0 {
		close(s.idle)
	}
	go func() {
		select {
		case <-s.idle:
		case <-time.After(s.DrainTimeout):
		}
		begin := time.Now()
		for i := len(s.cleanUps) - 1; i >= 0; i-- {
			if err := s.cleanUps[i](); err != nil {
				log.Print("clean-up failed: ", err)
			}
		}
		s.cleanUpSeconds = time.Since(begin).Seconds()
		close(s.finished)
	}()
}

func (s *Service) live() map[string]any {
	status := "healthy"
	if s.draining {
		status = "shutting_down"
	}
	return map[string]any{"status": status, "service": s.Name, "version": s.Version,
		"uptime_seconds": time.Since(s.started).Seconds(),
		"start_time":     s.started.UTC().Format("2006-01-02T15:04:05.000000")}
}

func (s *Service) status() map[string]any {
	ago := func(at time.Time) float64 {
		if at.IsZero() {
			return -1
		}
		return time.Since(at).Seconds()
	}
	dependencies := map[string]any{}
	for name, found := range s.dependencies {
		entry := map[string]any{"status": "working", "error": nil,
			"last_success_seconds": ago(found.lastSuccess), "success_count": found.successes,
			"last_failure_seconds": ago(found.lastFailure), "failure_count": found.failures}
		if err := found.failure(); err != nil {
			entry["status"], entry["error"] = "error", err.Error()
		}
		for key, value := range found.details {
			entry[key] = value
		}
		dependencies[name] = entry
	}
	payload := s.live()
	payload["should_shutdown"] = s.draining
	payload["dependencies"] = dependencies
	payload["resources"] = map[string]any{"requests_in_flight": s.inFlight, "goroutines": runtime.NumGoroutine()}
	return payload
}

func (s *Service) isReady() bool {
	for _, found := range s.dependencies {
		if found.failure() != nil {
			return false
		}
	}
	return !s.draining
}

// Serve answers the health and shutdown routes, and all others by work, until a shutdown is done.
func (s *Service) Serve(address string, work http.Handler) error {
	mux := http.NewServeMux()
	locked := func(answer func() (int, map[string]any)) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			s.mutex.Lock()
			code, body := answer()
			s.mutex.Unlock()
			reply(w, code, body)
		}
	}
	live := locked(func() (int, map[string]any) { return http.StatusOK, s.live() })
	mux.HandleFunc("GET /health/live", live)
	mux.HandleFunc("GET /healthz", live)
	mux.HandleFunc("GET /health/status", locked(func() (int, map[string]any) { return http.StatusOK, s.status() }))
	// For Kubernetes, which reads the code alone.
	mux.HandleFunc("GET /readyz", locked(func() (int, map[string]any) {
		if s.isReady() {
			return http.StatusOK, map[string]any{"ready": true}
		}
		return http.StatusServiceUnavailable, map[string]any{"ready": false}
	}))
	mux.HandleFunc("POST /health/shutdown/schedule", func(w http.ResponseWriter, _ *http.Request) {
		s.ShutDown()
		reply(w, http.StatusOK, map[string]any{"status": "shutdown_scheduled", "should_shutdown": true,
			"mode": "scheduled", "message": "drains, cleans up and exits"})
	})
	mux.HandleFunc("POST /health/shutdown", func(w http.ResponseWriter, _ *http.Request) {
		s.ShutDown()
		<-s.finished
		reply(w, http.StatusOK, map[string]any{"status": "shutdown_complete", "mode": "immediate",
			"cleanup_duration_seconds": s.cleanUpSeconds})
	})
	mux.Handle("/", s.Work(work))

	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for range signals {
			s.ShutDown()
		}
	}()
	server := &http.Server{Addr: address, Handler: mux}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-s.finished:
	}
	// Only now, as it closes the listener: until here the health routes had to answer. It waits for the
	// replies to shutdown requests; a request that has outlasted the drain is cut.
	limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		return server.Close()
	}
	return nil
}

func reply(w http.ResponseWriter, code int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Print("a reply was not taken: ", err)
	}
}

// The service itself.

const inbox = "inbox"

func main() {
	service := NewService("mailroom", "0.1.0")
	service.Check("inbox", time.Second, 5*time.Second, func() (map[string]any, error) {
		letters, err := os.ReadDir(inbox)
		return map[string]any{"letters": len(letters)}, err
	})
	service.cleanUps = append(service.cleanUps, func() error {
		log.Print("inbox closed")
		return nil
	})

	work := http.NewServeMux()
	work.HandleFunc("GET /letters", func(w http.ResponseWriter, _ *http.Request) {
		letters, err := os.ReadDir(inbox)
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintf(w, "%d waiting\n", len(letters))
	})
	work.HandleFunc("POST /letters", func(w http.ResponseWriter, r *http.Request) {
		letter, err := io.ReadAll(r.Body)
		if err == nil {
			name := fmt.Sprintf("letter-%d.txt", time.Now().UnixNano())
			err = os.WriteFile(filepath.Join(inbox, name), letter, 0o644)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "thank you")
	})

	port := "8000"
	if len(os.Args) > 1 {
		port = os.Args[1]
	}
	if err := service.Serve("127.0.0.1:"+port, work); err != nil {
		log.Fatal(err)
	}
}
