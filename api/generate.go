//go:build ignore

// Generate runs oapi-codegen on openapi.yaml. It first numbers the properties of
// every schema with x-order, so that Go structs, and so JSON, list them in the
// order of the contract. Without x-order oapi-codegen sorts them by name.
package main

import (
	"log"
	"os"
	"os/exec"
	"strconv"

	"go.yaml.in/yaml/v3"
)

func main() {
	log.SetFlags(0)
	text, err := os.ReadFile("openapi.yaml")
	check(err)
	var document yaml.Node
	check(yaml.Unmarshal(text, &document))
	number(&document)
	text, err = yaml.Marshal(&document)
	check(err)
	ordered, err := os.CreateTemp("", "openapi-*.yaml")
	check(err)
	defer os.Remove(ordered.Name())
	_, err = ordered.Write(text)
	check(err)
	check(ordered.Close())
	command := exec.Command("oapi-codegen", "--config", "oapi-codegen.yaml", ordered.Name())
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	check(command.Run())
}

// number adds x-order to every member of a "properties" mapping below n.
func number(n *yaml.Node) {
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && child.Value == "properties" {
			for j := 1; j < len(n.Content[i+1].Content); j += 2 {
				property := n.Content[i+1].Content[j]
				property.Content = append(property.Content,
					&yaml.Node{Kind: yaml.ScalarNode, Value: "x-order"},
					&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(j/2 + 1)})
			}
		}
		number(child)
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
