// Publishes one event over a plain connection, so that no module is needed: go run publish.go
// A service would use a client, such as github.com/redis/go-redis.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/url"
	"os"
	"strings"
)

type botEvent struct {
	BotID   string `json:"bot_id"`
	Status  string `json:"status"`
	Healthy bool   `json:"healthy"`
}

func main() {
	event, err := json.Marshal(botEvent{BotID: "42", Status: "starting", Healthy: true})
	if err != nil {
		log.Fatal(err)
	}
	if err := publish("bot:42", string(event)); err != nil {
		log.Fatal(err)
	}
}

func publish(topic, payload string) error {
	address := "redis://127.0.0.1:6379"
	if given := os.Getenv("REDIS_URL"); given != "" {
		address = given
	}
	server, err := url.Parse(address)
	if err != nil {
		return err
	}
	connection, err := net.Dial("tcp", server.Host)
	if err != nil {
		return err
	}
	defer connection.Close()

	// A command is an array of strings, each behind its length: https://redis.io/docs/latest/develop/reference/protocol-spec/
	words := []string{"PUBLISH", topic, payload}
	fmt.Fprintf(connection, "*%d\r\n", len(words))
	for _, word := range words {
		fmt.Fprintf(connection, "$%d\r\n%s\r\n", len(word), word)
	}
	answer, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return err
	}
	if strings.HasPrefix(answer, "-") {
		return fmt.Errorf("redis says %s", strings.TrimSpace(answer[1:]))
	}
	return nil
}
